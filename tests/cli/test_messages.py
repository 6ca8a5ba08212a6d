"""What the library says of arguments, a command says of its flags."""

import pytest

from slimnets.cli.messages import in_flags

FLAGS = ("rename", "exclude", "model_name", "train_dir", "dataset_dir", "input",
         "eval_image_size", "labels_offset", "max_bad_records")  # fmt: skip


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("A scope 'a' (rename=[('a/(.*)', '\\\\1')]).",
         "A scope 'a' (--rename='a/(.*)=\\1')."),
        ("9 (build with num_classes=9, or exclude=['.*/logits/.*'] for a new head)",
         "9 (--exclude='.*/logits/.*' for a new head)"),
        ("3 channels (adapt_root='sum' or 'repeat').", "3 channels."),
        ("not known (network='resnet50', for example)",
         "not known (--model_name=resnet50, for example)"),
        ("no default size: image_size.", "no default size: --eval_image_size."),
        ("give dataset_dir.", "give --dataset_dir."),
        ("1 bad record, where max_bad_records=0.", "1 bad record, where "
         "--max_bad_records=0."),
        ("Cannot write to train_dir=/a/train_dir: no.",
         "Cannot write to --train_dir=/a/train_dir: no."),
        ("exclude=[C3, C4] of input='\\x'.", "--exclude=[C3, C4] of --input='\\x'."),
        # Neither paths, nor names in quotes, nor words of the language.
        ("No train_dir/x, /a/model_name or 'labels_offset'; the input is of a",
         "No train_dir/x, /a/model_name or 'labels_offset'; the input is of a"),
        ("--rename=x is not it (a mean of 3), batch_size=4",
         "--rename=x is not it (a mean of 3), batch_size=4"),
    ],
)  # fmt: skip
def test_arguments_are_named_as_flags(message, expected):
    assert in_flags(message, FLAGS) == expected
