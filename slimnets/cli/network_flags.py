"""Flags of commands that run a network with its weights on images.

Several commands have each of them, and with the same text.
"""

# Kind, name, help.
CHECKPOINT_PATH = (
    "string", "checkpoint_path", "The weights: a file, a checkpoint's prefix, or the "
    "train_dir of a run, of which the latest is taken; or public weights by name.",
)  # fmt: skip
MODEL_NAME = (
    "string", "model_name", "Name of the network; from the checkpoint's metadata by "
    "default.",
)  # fmt: skip
EVAL_IMAGE_SIZE = (
    "integer", "eval_image_size", "Height and width of the network's input; what it "
    "was trained with by default.",
)  # fmt: skip
PREPROCESSING_NAME = (
    "string", "preprocessing_name", "How images become the network's input; as in "
    "training by default.",
)  # fmt: skip
EXIF_ORIENTATION = (
    "boolean", "exif_orientation", "Turn photos upright, as their EXIF says; a network "
    "that was trained otherwise has them as in training by default.",
)  # fmt: skip
STRICT = (
    "strict", False, "End with exit code 1 if anything was left out: an image that "
    "cannot be decoded, or a file in a folder that is no image.",
)  # fmt: skip
MAX_BAD_RECORDS = (
    "integer", "max_bad_records", "How many images that cannot be decoded are left "
    "out before the command stops.",
)  # fmt: skip
