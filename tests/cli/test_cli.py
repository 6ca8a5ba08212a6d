import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from slimnets.cli import configs
from slimnets.cli.main import COMMANDS
from slimnets.settings import REST

ROOT = pathlib.Path(__file__).parents[2]
PLAIN = {k: v for k, v in os.environ.items() if not k.startswith("TF_CPP")}
PLAIN["PYTHONPATH"] = str(ROOT)
QUICK = ["--flagfile=digits_resnet", "--model_name=resnet_v2_cifar_20",
         "--train_image_size=8", "--save_interval_steps=5"]  # fmt: skip


def command(*arguments):
    return [sys.executable, "-m", "slimnets", *map(str, arguments)]


# Help and usage.


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_overview_names_every_command(call, arguments):
    code, out, err = call(*arguments)
    assert code == 0 and not err
    assert all(f"  {name} " in out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_80_columns_and_says_what_its_own_flags_are(call, name):
    code, out, _ = call(name, "--help")
    assert code == 0 and max(map(len, out.splitlines())) <= 80
    assert ("--[no]debug" in out) == (name != "run")  # Its errors are its own.
    assert ("--train_dir" in out) == name.startswith("train")
    of_checkpoints = (
        "evaluate", "predict", "convert", "features", "plot", "export",
        "summary", "find-lr", "diagnose", "explain",
    )  # fmt: skip
    trains = name.startswith("train")
    assert ("--checkpoint_path" in out) == (trains or name in of_checkpoints)
    for default in re.findall(r"\(default:\s+([^)]*)\)", out):
        assert default and not default.startswith(("[", "'")) and default != "False"
    assert not re.search(r"^ +(Of the|The) same\b", out, re.MULTILINE)
    if trains:
        headings = [line for line in out.splitlines() if re.fullmatch(r"\w.*:", line)]
        assert "learning rate:" in headings and "distribution:" in headings
        assert (REST + ":" in headings) == (name != "train")


@pytest.mark.parametrize(
    "arguments",
    [["help", "train"], ["train", "-h"], ["train", "x", "--helpfull"],
     ["train", "--helpshort"]],
)  # fmt: skip
def test_help_of_a_command_by_other_ways(call, arguments):
    assert call(*arguments) == call("train", "--help")
    assert call("--helpfull") == call("--help")


def test_help_does_not_wait_for_tensorflow():
    code = (
        "import sys; from slimnets.cli.main import COMMANDS, main;"
        "[main([name, '--help']) for name in COMMANDS]; main(['train', '--typo']);"
        "sys.exit('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=PLAIN, capture_output=True)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "'trian' is not a command; did you mean train?"),
        (["fly"], "there is list, summary, lint"),
        (["train", "--modle_name=x"], "Did you mean: model_name"),
        (["train", "--batch_size=many"], "--batch_size=many"),
        (["train", "extra"], "train does not take 'extra'"),
        (["train", "--model_name=x"], "train needs --train_dir"),
        (["evaluate"], "evaluate needs --checkpoint_path"),
        (["evaluate", "--checkpoint_path=/none"], "There is no checkpoint /none"),
        (["list", "resnet_v2-50"], "the nearest are resnet_v2_50"),
        (["list", "xyzzy"], "no network is called 'xyzzy'; list names all"),
        (["list", "--format=xml"], "text|markdown|json"),
        (["train", "--flagfile=none"], "comes with cifar10_resnet_v2_164, cifar10"),
        (["train", *QUICK, "--adam_beta1=0.5"], "belongs to --optimizer=adam"),
        (["train", *QUICK, "--model_name=resnet"], "Unknown network 'resnet'"),
        (["train", *QUICK, "--batch_size=0"], "batch_size=0 must be at least 1."),
        (["train", "--flagfile="], "there is no file ''; slimnets comes with"),
        (["help", "fly"], "'fly' is not a command"),
        (["migrate", "/none"], "no such file or folder"),
        (["summary", "lenet", "--noaverages"],
         "--averages is of no effect without --checkpoint_path"),
        (["benchmark", "lenet", "--best", "--nojit", "--modes=forward"],
         "--modes is of no effect with --best"),
        (["export", "--checkpoint_path=x", "--output=x.onnx", "--threads=2"],
         "--threads is of no effect without --fastest"),
        (["convert", "--checkpoint_path=x", "--output=y", "--rename=z"],
         "--rename=z is not PATTERN=REPLACEMENT"),
        (["make-records", "--dataset_dir=/none", "--output=x"],
         "No such file or directory: /none"),
        (["predict", "--input=x", "--checkpoint_path=x", "--output=/none/x.csv"],
         "There is no directory /none for --output=/none/x.csv"),
        (["predict", "--input=x", "--checkpoint_path=x", "--output=/"],
         "output=/ is a directory"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line_and_exit_code_2(call, arguments, message):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert message in err and err.startswith("slimnets: ") and err.count("\n") == 1


def test_a_failure_is_one_line_and_exit_code_1(call, monkeypatch, tmp_path):
    def fail(*args, **kwargs):
        raise OSError("No space left\non the device")

    monkeypatch.setattr("slimnets.training.loop.train", fail)
    arguments = ["train", *QUICK, f"--train_dir={tmp_path}"]
    code, _, err = call(*arguments)
    assert code == 1 and err == "slimnets: No space left (--debug shows all)\n"
    code, _, err = call(*arguments, "--debug")
    assert code == 1 and "Traceback" in err


def test_list_takes_a_pattern(call):
    code, out, _ = call("list", "resnet_v2_*0", "--format=text")
    names = [line.split()[1] for line in out.splitlines()]
    assert code == 0 and "resnet_v2_50" in names and "resnet_v1_50" not in names


def test_flagfiles_are_found_by_path_or_by_name(tmp_path):
    own = tmp_path / "own.flags"
    own.write_text("--seed=3\n")
    shipped = str(configs.config_directory() / "digits_resnet.flags")
    assert configs.resolve([f"--flagfile={own}"]) == [f"--flagfile={own}"]
    for name in ("configs/digits_resnet.flags", "digits_resnet"):
        assert configs.resolve(["--flagfile", name])[1].endswith(
            "configs/digits_resnet.flags"
        )
    assert pathlib.Path(shipped).is_file()


# Those on data that is not embedded: tests/training/test_configs.py.
@pytest.mark.parametrize(
    "path",
    [p for p in sorted((ROOT / "configs").glob("*.flags"))
     if "--dataset_dir" not in p.read_text()],
    ids=lambda p: p.stem,
)  # fmt: skip
def test_every_config_takes_a_step(call, tmp_path, path):
    """By the command that the config's header names."""
    name = re.search(r"^# Command: slimnets (\S+) ", path.read_text(), re.M).group(1)
    quick = [] if name == "train" else ["--num_eval_images=2"]
    code, out, _ = call(
        name, f"--flagfile={path}", f"--train_dir={tmp_path}",
        "--max_number_of_steps=1", *quick,
    )  # fmt: skip
    assert code == 0 and re.search(r"\d test (examples|images)", out.splitlines()[-1])


# Whole processes.


def test_train_stops_on_ctrl_c_and_evaluate_needs_no_more_flags(
    call, monkeypatch, tmp_path
):
    train = [*QUICK, "--train_dir=run", "--max_number_of_steps=100000"]
    process = subprocess.Popen(
        command("train", *train), env=PLAIN, cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 600
    while not (tmp_path / "run" / "checkpoint").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == ""
    assert "slimnets: stopped at step" in err.splitlines()[-1]
    # Nothing of what TensorFlow's C++ code prints at its start.
    assert all(line.startswith(("resnet_v2", "slimnets:")) for line in err.splitlines())
    monkeypatch.chdir(tmp_path)
    code, out, err = call("evaluate", "--checkpoint_path=run")
    # One line says what was opened.
    assert code == 0 and err.count("\n") == 1
    assert "of run/model.ckpt-" in err and "without averages" in err
    last = out.splitlines()[-1]
    assert last.startswith("accuracy ") and "of 360 test examples" in last
    assert str(tmp_path / "run") in last


def test_a_reader_that_leaves_is_no_error():
    shell = f"{' '.join(command('list'))} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", shell], env=PLAIN, capture_output=True, text=True
    )
    assert done.stderr == "" and done.stdout.strip() == "141"
