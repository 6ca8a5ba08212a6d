"""What people type and see: lists, versions, completion, grouped help, the bar."""

import fcntl
import io
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios

import pytest

from slimnets.cli import network_table
from slimnets.progress import show_progress
from slimnets.quiet import quiet_tensorflow
from slimnets.settings import settings_of
from slimnets.training import TrainingConfig
from slimnets.training.optimizers import OPTIMIZERS
from slimnets.version import __version__
from tests import make_manifests
from tests.cli.test_cli import PLAIN


def test_the_table_of_networks_is_what_the_registry_knows():
    assert json.loads(make_manifests.TABLE.read_text()) == make_manifests.table()


def test_list_takes_parts_of_names_and_patterns_without_tensorflow(call):
    names = list(network_table.networks())
    assert network_table.matching([], names) == names
    assert network_table.matching(["v2_cifar_2"], names) == [
        "resnet_v2_cifar_20", "resnet_v2_cifar_29",
    ]  # fmt: skip
    assert network_table.matching(["resnet_v2_?0", "overf"], names) == [
        "resnet_v2_50", "overfeat",
    ]  # fmt: skip
    code, out, _ = call("list", "v2_cifar", "overfeat")
    assert code == 0 and len(out.splitlines()) == 7
    script = (
        "import sys; from slimnets.cli.main import main;"
        "main(['list']); main(['version']); main(['completion', 'bash']);"
        "main(['summary', 'resnet_v2_50', '--depth=2']);"
        "sys.exit('tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=PLAIN, capture_output=True
    )
    assert done.returncode == 0


def test_version_names_what_it_runs_on(call):
    code, out, _ = call("version")
    lines = dict(line.split(" ", 1) for line in out.splitlines())
    assert code == 0 and lines["slimnets"] == __version__
    assert lines["python"] == ".".join(map(str, sys.version_info[:3]))
    assert re.fullmatch(r"\d+\.\d+.*", lines["tensorflow"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["slimnets", "tra"], "train train-detector train-segmenter"),
        (["slimnets", "train", "--warmup"], "--warmup_steps= --warmup_epochs="),
        (["slimnets", "train", "--model_name", "=", "lene"], "lenet"),
        (["slimnets", "train", "--model_name=lene"], "--model_name=lenet"),
        (["slimnets", "summary", "lene"], "lenet"),
        (["slimnets", "list", "--warmup"], ""),
    ],
)
def test_bash_completes_commands_flags_and_networks(call, words, expected):
    _, script, _ = call("completion", "bash")
    script += f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}\n"
    script += '_slimnets; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == expected and not done.stderr


def test_zsh_gets_the_same_by_its_way_to_take_it(call):
    bash, zsh = (call("completion", shell)[1] for shell in ("bash", "zsh"))
    assert zsh.startswith("autoload -U +X bashcompinit") and zsh.endswith(bash)
    code, _, error = call("completion", "fish")
    assert code == 2 and "completion needs a shell: bash or zsh" in error
    if shutil.which("zsh"):
        subprocess.run(["zsh", "-f", "-n", "-c", zsh], check=True)


def test_help_has_the_defaults_of_optimizers_options():
    settings = settings_of(TrainingConfig)
    for choice, entry in OPTIMIZERS.items():
        for option, default in entry.options.items():
            if option != "opt_epsilon":
                assert str(default) in settings[option].metadata["help"], (
                    choice,
                    option,
                )


def test_the_bar_has_room_for_all_at_80_columns():
    script = (
        "import sys, time\n"
        "from slimnets.progress import show_progress\n"
        "values = {'loss': 1.2345, 'train_accuracy': 0.75, 'images_per_second': 1e4,\n"
        "          'learning_rate': 0.1}\n"
        "with show_progress('resnet_v2_cifar_1001', 0, 10000) as progress:\n"
        "    time.sleep(0.2); progress.update(5000, values)\n"
        "    time.sleep(0.2); progress.update(5001)\n"
    )
    leader, follower = pty.openpty()
    size = struct.pack("HHHH", 24, 80, 0, 0)
    fcntl.ioctl(leader, termios.TIOCSWINSZ, size)
    child = subprocess.Popen([sys.executable, "-c", script], env=PLAIN, stderr=follower)
    os.close(follower)
    text = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # So it ends on Linux.
            break
        if not part:
            break
        text += part
    assert child.wait() == 0
    lines = [re.sub(r"\x1b\[\w*", "", n) for n in re.split("[\r\n]+", text.decode())]
    last = [line for line in lines if "5001/10000" in line][-1]
    assert len(last) <= 79
    assert "loss 1.23" in last and "accuracy 0.75" in last and " left" in last
    assert len(re.search(r"\|(.*?)\|", last)[1]) >= 8


def test_without_a_terminal_there_is_no_bar(capfd):
    with show_progress("net", 0, 2) as progress:
        progress.update(2, {"loss": 1.0})
    assert capfd.readouterr().err == "net: step 2 of 2, loss 1\n"


def test_what_was_kept_off_the_screen_is_shown_with_an_error(capfd, monkeypatch):
    # As in a notebook, whose stderr is no file.
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with pytest.raises(OSError, match="broken"), quiet_tensorflow(False):
        os.write(2, b"why it is\n")
        raise OSError("broken")
    with quiet_tensorflow(False):
        os.write(2, b"a greeting\n")
    assert capfd.readouterr().err == "why it is\n"
