"""A setting is one field: its flag, help, check, reference and metadata follow."""

import dataclasses
import inspect
import types
from collections.abc import Sequence

import pytest

from slimnets.cli import command as cli
from slimnets.cli import setting_flags, usage
from slimnets.settings import (
    GROUPS,
    LOSS,
    OPTIMIZER,
    REST,
    documented,
    setting,
    settings_of,
)
from slimnets.tasks import config as tasks
from slimnets.tasks import head_config
from slimnets.training import TrainingConfig

CONFIGS = (
    TrainingConfig,
    head_config.DetectionConfig,
    head_config.SegmentationConfig,
    tasks.EmbeddingConfig,
    tasks.PredictionConfig,
)


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class SharperConfig(TrainingConfig):
    """A run with settings of its own."""

    sharpness: float = setting(0.5, LOSS, "How sharp, beside label_smoothing.", most=2,
        least=0)  # fmt: skip
    shape: str | None = setting(None, LOSS, "Of what.", choices=["round", "square"])
    edges: Sequence[str] | None = setting(None, OPTIMIZER, "Which.", needs="shape")


@pytest.fixture
def sharper(tmp_path):
    options = {"model_name": "tiny", "train_dir": str(tmp_path)}
    return lambda **given: SharperConfig(**options, **given)


def test_a_field_is_a_flag_with_help_and_heading():
    defined = cli.defined(setting_flags.of(SharperConfig))
    command = types.SimpleNamespace(ARGUMENTS=(), __doc__="Sharpens.")
    shown = usage.command_help("sharpen", command, defined)
    heading, _, rest = shown.partition("loss and regularization:\n")
    assert "--sharpness" not in heading
    members = rest.partition("\n\n")[0]
    text = "How sharp, beside --label_smoothing. In [0, 2]. (default: 0.5)"
    assert f"  --sharpness=VALUE\n      {text}" in members
    defined(["sharpen", "--sharpness=1.5", "--edges=a", "--edges=b"])
    values = setting_flags.values(defined, SharperConfig)
    assert values["sharpness"] == 1.5 and values["edges"] == ["a", "b"]
    assert set(values) == set(settings_of(SharperConfig))


def test_a_field_is_checked(sharper):
    for given, message in (
        ({"sharpness": 2.1}, r"sharpness=2\.1 must be in \[0, 2\]\."),
        ({"sharpness": float("nan")}, "sharpness=nan must be in"),
        ({"shape": "oval"}, "shape='oval' is not one of round, square"),
        ({"edges": ["a"]}, r"edges=\['a'\] is of no effect without shape"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"label_smoothing": 1.0}, r"label_smoothing=1\.0 must be in \[0, 1\)"),
    ):
        with pytest.raises(ValueError, match=message):
            sharper(**given)
    assert sharper(shape="round", edges=["a"], sharpness=0).to_json()["sharpness"] == 0


def test_a_field_is_in_the_reference_and_in_metadata(sharper):
    reference = inspect.getdoc(SharperConfig)
    assert reference.startswith("A run with settings of its own.\n\nAttributes:\n")
    assert (
        "\n    sharpness: How sharp, beside label_smoothing. In [0, 2].\n" in reference
    )
    assert "\n    shape: Of what. One of round, square.\n" in reference
    assert "\n    batch_size: Images per step" in reference
    written = sharper(shape="square").to_json()
    assert written["shape"] == "square" and written["sharpness"] == 0.5


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)
def test_every_field_says_all_of_itself(config):
    settings = settings_of(config)
    # --import is a flag of all commands, and no setting of a run.
    fields = {field.name for field in dataclasses.fields(config)} - {"imports"}
    assert set(settings) == fields
    for name, field in settings.items():
        about = field.metadata
        assert about["group"] in (*GROUPS, REST), name
        assert about["help"].endswith((".", "...")), name
        assert about["needs"] is None or about["needs"] in settings, name
