"""Writes what has a shell complete slimnets' commands, flags and networks.

For bash, `eval "$(slimnets completion bash)"` in ~/.bashrc; for zsh, the same with
zsh in ~/.zshrc, after compinit. Whatever else is completed is a file.
"""

from collections.abc import Sequence

from absl import flags

from slimnets.cli.command import UsageError
from slimnets.cli.network_table import networks

ARGUMENTS = ("SHELL",)
SHELLS = ("bash", "zsh")

# bash takes `--flag=value` for three words, zsh for one.
_SCRIPT = """\
_slimnets() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
  local flag="$before" value="$word" prefix="" words=""
  if [[ "$word" == "=" ]]; then value=""; fi
  if [[ "$before" == "=" ]]; then flag="${{COMP_WORDS[COMP_CWORD-2]}}"; fi
  if [[ "$word" == --*=* ]]; then
    flag="${{word%%=*}}"; value="${{word#*=}}"; prefix="$flag="
  fi
  if [[ "$before" == "=" || "$word" == "=" || -n "$prefix" ]]; then
    case "$flag" in
      --model_name) words="{networks}" ;;
    esac
    COMPREPLY=($(compgen -P "$prefix" -W "$words" -- "$value"))
    if [[ -z "$words" ]]; then
      COMPREPLY=($(compgen -P "$prefix" -f -- "$value"))
    fi
    return
  fi
  if [[ $COMP_CWORD -eq 1 ]]; then
    words="{commands}"
  elif [[ "$word" == -* ]]; then
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
  elif [[ "${{COMP_WORDS[1]}}" == "summary" || "${{COMP_WORDS[1]}}" == "list" ]]; then
    words="{networks}"
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -o nospace -F _slimnets slimnets
"""
_ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    if not arguments or arguments[0] not in SHELLS:
        raise UsageError(f"completion needs a shell: {' or '.join(SHELLS)}")
    from slimnets.cli.main import COMMANDS, command_of, flags_of

    cases = []
    for name in COMMANDS:
        defined = flags_of(command_of(name))
        words = [
            f"--{flag}" if defined[flag].boolean else f"--{flag}=" for flag in defined
        ]
        words += ["--flagfile=", "--help"]
        cases.append(f'      {name}) words="{" ".join(words)}" ;;')
    script = _SCRIPT.format(
        commands=" ".join([*COMMANDS, "help"]),
        networks=" ".join(networks()),
        cases="\n".join(cases),
    )
    print((_ZSH if arguments[0] == "zsh" else "") + script, end="")
