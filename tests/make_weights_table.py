"""Writes slimnets/weights/table.csv from what the sources publish.

    PYTHONPATH=TIMM python -m tests.make_weights_table RESULTS

TIMM holds timm and torchvision, whose own tables are read; RESULTS is timm's
results/results-imagenet.csv. keras.applications is asked for the address and the hash
of each file, as it asks for the file itself. Numbers below are of [1] README.md,
nets/mobilenet_v1.md and nets/mobilenet/README.md of tensorflow/models/research/slim;
[2] keras.io/api/applications, and the docstring of MobileNetV3.
Nothing is fetched.
"""

import csv
import json
import pathlib
import sys

from slimnets.weights.table import COLUMNS, TABLE
from tests.timm_names import TIMM_NAMES

_BUCKET = "https://storage.googleapis.com/"
# The host download.tensorflow.org, which [1] names with http, is this bucket.
_SLIM = f"{_BUCKET}download.tensorflow.org/models/"
_V1, _V2 = f"{_SLIM}mobilenet_v1_2018_02_22/", f"{_BUCKET}mobilenet_v2/checkpoints/"
_V3 = f"{_BUCKET}mobilenet_v3/checkpoints/"
# Network, file, size, top-1 and top-5. MobileNet v3's archives hold two checkpoints,
# ema/ and pristine/, of which the averages are taken.
TF_SLIM = (
    ("inception_v1", f"{_SLIM}inception_v1_2016_08_28.tar.gz", 224, 69.8, 89.6),
    ("inception_v2", f"{_SLIM}inception_v2_2016_08_28.tar.gz", 224, 73.9, 91.8),
    ("inception_v3", f"{_SLIM}inception_v3_2016_08_28.tar.gz", 299, 78.0, 93.9),
    ("inception_v4", f"{_SLIM}inception_v4_2016_09_09.tar.gz", 299, 80.2, 95.2),
    ("inception_resnet_v2", f"{_SLIM}inception_resnet_v2_2016_08_30.tar.gz", 299, 80.4,
     95.3),
    ("resnet_v1_50", f"{_SLIM}resnet_v1_50_2016_08_28.tar.gz", 224, 75.2, 92.2),
    ("resnet_v1_101", f"{_SLIM}resnet_v1_101_2016_08_28.tar.gz", 224, 76.4, 92.9),
    ("resnet_v1_152", f"{_SLIM}resnet_v1_152_2016_08_28.tar.gz", 224, 76.8, 93.2),
    ("resnet_v2_50", f"{_SLIM}resnet_v2_50_2017_04_14.tar.gz", 299, 75.6, 92.8),
    ("resnet_v2_101", f"{_SLIM}resnet_v2_101_2017_04_14.tar.gz", 299, 77.0, 93.7),
    ("resnet_v2_152", f"{_SLIM}resnet_v2_152_2017_04_14.tar.gz", 299, 77.8, 94.1),
    ("vgg_16", f"{_SLIM}vgg_16_2016_08_28.tar.gz", 224, 71.5, 89.8),
    ("vgg_19", f"{_SLIM}vgg_19_2016_08_28.tar.gz", 224, 71.1, 89.8),
    ("mobilenet_v1", f"{_V1}mobilenet_v1_1.0_224.tgz", 224, 70.9, 89.9),
    ("mobilenet_v1_075", f"{_V1}mobilenet_v1_0.75_224.tgz", 224, 68.4, 88.2),
    ("mobilenet_v1_050", f"{_V1}mobilenet_v1_0.5_224.tgz", 224, 63.3, 84.9),
    ("mobilenet_v1_025", f"{_V1}mobilenet_v1_0.25_224.tgz", 224, 49.8, 74.2),
    ("mobilenet_v2_140", f"{_V2}mobilenet_v2_1.4_224.tgz", 224, 75.0, 92.5),
    ("mobilenet_v2", f"{_V2}mobilenet_v2_1.0_224.tgz", 224, 71.8, 91.0),
    ("mobilenet_v2_035", f"{_V2}mobilenet_v2_0.35_224.tgz", 224, 60.3, 82.9),
    ("mobilenet_v3_large", f"{_V3}v3-large_224_1.0_float.tgz#ema", 224, 75.2, None),
    ("mobilenet_v3_small", f"{_V3}v3-small_224_1.0_float.tgz#ema", 224, 67.5, None),
    ("mobilenet_v3_large_minimalistic",
     f"{_V3}v3-large-minimalistic_224_1.0_float.tgz#ema", 224, 72.3, None),
    ("mobilenet_v3_small_minimalistic",
     f"{_V3}v3-small-minimalistic_224_1.0_float.tgz#ema", 224, 61.9, None),
    ("nasnet_mobile", f"{_SLIM}nasnet-a_mobile_04_10_2017.tar.gz", 224, 74.0, 91.6),
    ("nasnet_large", f"{_SLIM}nasnet-a_large_04_10_2017.tar.gz", 331, 82.7, 96.2),
    ("pnasnet_mobile", f"{_SLIM}pnasnet-5_mobile_2017_12_13.tar.gz", 224, 74.2, 91.9),
    ("pnasnet_large", f"{_SLIM}pnasnet-5_large_2017_12_13.tar.gz", 331, 82.9, 96.2),
)  # fmt: skip
# Converted from Caffe's, of 1000 classes, whose authors' terms [1] does not repeat.
_OF_CAFFE = ("resnet_v1_", "vgg_")

_MIT, _APACHE, _CC_BY = "mit", "apache-2.0", "cc-by-4.0"
# Network, function of keras.applications, its arguments, preprocessing; MiB, top-1 and
# top-5 of [2].
KERAS = (
    ("vgg_16", "VGG16", {}, "caffe", 528, 71.3, 90.1),
    ("vgg_19", "VGG19", {}, "caffe", 549, 71.3, 90.0),
    ("keras_resnet50", "ResNet50", {}, "caffe", 98, 74.9, 92.1),
    ("keras_resnet101", "ResNet101", {}, "caffe", 171, 76.4, 92.8),
    ("keras_resnet152", "ResNet152", {}, "caffe", 232, 76.6, 93.1),
    ("keras_resnet50_v2", "ResNet50V2", {}, "tf", 98, 76.0, 93.0),
    ("keras_resnet101_v2", "ResNet101V2", {}, "tf", 171, 77.2, 93.8),
    ("keras_resnet152_v2", "ResNet152V2", {}, "tf", 232, 78.0, 94.2),
    ("keras_xception", "Xception", {}, "tf", 88, 79.0, 94.5),
    ("inception_v3", "InceptionV3", {}, "tf", 92, 77.9, 93.7),
    ("inception_resnet_v2", "InceptionResNetV2", {}, "tf", 215, 80.3, 95.3),
    ("mobilenet_v1", "MobileNet", {"alpha": 1.0}, "tf", 16, 70.4, 89.5),
    ("mobilenet_v1_075", "MobileNet", {"alpha": 0.75}, "tf", None, None, None),
    ("mobilenet_v1_050", "MobileNet", {"alpha": 0.5}, "tf", None, None, None),
    ("mobilenet_v1_025", "MobileNet", {"alpha": 0.25}, "tf", None, None, None),
    ("mobilenet_v2", "MobileNetV2", {"alpha": 1.0}, "tf", 14, 71.3, 90.1),
    ("mobilenet_v2_140", "MobileNetV2", {"alpha": 1.4}, "tf", None, None, None),
    ("mobilenet_v2_035", "MobileNetV2", {"alpha": 0.35}, "tf", None, None, None),
    ("mobilenet_v3_large", "MobileNetV3Large", {"minimalistic": False}, "tf", None,
     75.6, None),
    ("mobilenet_v3_large_minimalistic", "MobileNetV3Large", {"minimalistic": True},
     "tf", None, 72.3, None),
    ("mobilenet_v3_small", "MobileNetV3Small", {"minimalistic": False}, "tf", None,
     68.1, None),
    ("mobilenet_v3_small_minimalistic", "MobileNetV3Small", {"minimalistic": True},
     "tf", None, 61.9, None),
    ("densenet121", "DenseNet121", {}, "torch", 33, 75.0, 92.3),
    ("densenet169", "DenseNet169", {}, "torch", 57, 76.2, 93.2),
    ("densenet201", "DenseNet201", {}, "torch", 80, 77.3, 93.6),
    ("nasnet_mobile", "NASNetMobile", {}, "tf", 23, 74.4, 91.9),
    ("nasnet_large", "NASNetLarge", {}, "tf", 343, 82.5, 96.0),
    ("tf_efficientnet_b0", "EfficientNetB0", {}, "torch", 29, 77.1, 93.3),
    ("tf_efficientnet_b1", "EfficientNetB1", {}, "torch", 31, 79.1, 94.4),
    ("tf_efficientnet_b2", "EfficientNetB2", {}, "torch", 36, 80.1, 94.9),
    ("tf_efficientnet_b3", "EfficientNetB3", {}, "torch", 48, 81.6, 95.7),
    ("tf_efficientnet_b4", "EfficientNetB4", {}, "torch", 75, 82.9, 96.4),
    ("tf_efficientnet_b5", "EfficientNetB5", {}, "torch", 118, 83.6, 96.7),
    ("tf_efficientnet_b6", "EfficientNetB6", {}, "torch", 166, 84.0, 96.8),
    ("tf_efficientnet_b7", "EfficientNetB7", {}, "torch", 256, 84.3, 97.0),
    ("tf_efficientnetv2_b0", "EfficientNetV2B0", {}, "torch", 29, 78.7, 94.3),
    ("tf_efficientnetv2_b1", "EfficientNetV2B1", {}, "torch", 34, 79.8, 95.0),
    ("tf_efficientnetv2_b2", "EfficientNetV2B2", {}, "torch", 42, 80.5, 95.1),
    ("tf_efficientnetv2_b3", "EfficientNetV2B3", {}, "torch", 59, 82.0, 95.8),
    ("tf_efficientnetv2_s", "EfficientNetV2S", {}, "tf", 88, 83.9, 96.7),
    ("tf_efficientnetv2_m", "EfficientNetV2M", {}, "tf", 220, 85.3, 97.4),
    ("tf_efficientnetv2_l", "EfficientNetV2L", {}, "tf", 479, 85.7, 97.5),
    ("convnext_tiny", "ConvNeXtTiny", {}, "torch", 109.42, 81.3, None),
    ("convnext_small", "ConvNeXtSmall", {}, "torch", 192.29, 82.3, None),
    ("convnext_base", "ConvNeXtBase", {}, "torch", 338.58, 85.3, None),
    ("convnext_large", "ConvNeXtLarge", {}, "torch", 755.07, 86.3, None),
    ("convnext_xlarge", "ConvNeXtXLarge", {}, "torch", 1310, 86.7, None),
)  # fmt: skip
_WITHOUT_AUXILIARY = {"create_aux_logits": False}
_KERAS_OPTIONS = {
    "InceptionV3": _WITHOUT_AUXILIARY,
    "InceptionResNetV2": _WITHOUT_AUXILIARY,
    "NASNetMobile": {**_WITHOUT_AUXILIARY, "zero_padded_pools": True},
    "NASNetLarge": {**_WITHOUT_AUXILIARY, "zero_padded_pools": True},
}
_KERAS_LICENCES = {"VGG16": _CC_BY, "VGG19": _CC_BY} | dict.fromkeys(
    ("ResNet50", "ResNet101", "ResNet152"), _MIT
)

_TORCHVISION = (
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d",
    "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2",
)  # fmt: skip
_NETWORKS = TABLE.parents[1] / "cli" / "networks.json"


def tf_slim():
    for network, address, size, top1, top5 in TF_SLIM:
        of_caffe = network.startswith(_OF_CAFFE)
        yield {
            "source": "tf-slim",
            "network": network,
            "address": address,
            "classes": 1000 if of_caffe else 1001,
            "labels_offset": 0 if of_caffe else 1,
            "preprocessing": "vgg" if of_caffe else "inception",
            "image_size": size,
            "top1": top1,
            "top5": top5,
            "licence": "" if of_caffe else _APACHE,
        }


class _Asked(Exception):
    """What a function of keras.applications would have fetched."""


def _asked_by(function, arguments):
    from keras import applications, backend
    from keras.src.utils import file_utils

    def get_file(fname=None, origin=None, *_, file_hash=None, **__):
        raise _Asked(origin, file_hash)

    file_utils.get_file = get_file
    try:
        getattr(applications, function)(**arguments)
    except _Asked as asked:
        backend.clear_session()
        return asked.args
    raise RuntimeError(f"{function} asked for no file.")


def keras():
    sizes = {name: row["default_image_size"] for name, row in _networks().items()}
    for network, function, arguments, preprocessing, size, top1, top5 in KERAS:
        address, digest = _asked_by(function, arguments)
        kind = {32: "md5", 64: "sha256"}.get(len(digest or ""))
        options = _KERAS_OPTIONS.get(function)
        yield {
            "source": "keras",
            "network": network,
            "address": address,
            "mebibytes": size,
            "checksum": f"{kind}:{digest}" if digest else "",
            "classes": 1000,
            "labels_offset": 0,
            "preprocessing": preprocessing,
            "image_size": _KERAS_SIZES.get(function, sizes[network]),
            "top1": top1,
            "top5": top5,
            "licence": _KERAS_LICENCES.get(function, ""),
            "network_options": json.dumps(options) if options else "",
        }


# Where the default of the function is not that of the network here.
_KERAS_SIZES = {
    "EfficientNetV2B0": 224, "EfficientNetV2B1": 240, "EfficientNetV2B2": 260,
    "EfficientNetV2B3": 300, "EfficientNetV2S": 384, "EfficientNetV2M": 480,
    "EfficientNetV2L": 480,
}  # fmt: skip


def torchvision():
    from torchvision.models import get_model_weights

    for network in _TORCHVISION:
        # The newest is the default, as in torchvision.
        for weights in reversed(get_model_weights(network)):
            digest = weights.url.rpartition("-")[2].removesuffix(".pth")
            metrics = weights.meta["_metrics"]["ImageNet-1K"]
            yield {
                "source": "torchvision",
                "network": network,
                "tag": weights.name.lower(),
                "address": weights.url,
                "mebibytes": weights.meta["_file_size"],
                "checksum": f"sha256:{digest}",
                "classes": len(weights.meta["categories"]),
                "labels_offset": 0,
                "preprocessing": "torch",
                "image_size": weights.transforms.keywords["crop_size"],
                "crop_fraction": round(
                    weights.transforms.keywords["crop_size"]
                    / weights.transforms.keywords.get("resize_size", 256),
                    3,
                ),
                "top1": metrics["acc@1"],
                "top5": metrics["acc@5"],
            }


def timm(results):
    import timm

    with open(results) as file:
        measured = {
            (row["model"], row["img_size"]): row for row in csv.DictReader(file)
        }
    for network, row in _networks().items():
        name = TIMM_NAMES.get(network, network)
        names = timm.list_models(f"{name}.*", pretrained=True)
        if not (names and (row["weights"] in ("torch", "bit") or name == "xception65")):
            continue
        default = timm.get_pretrained_cfg(name).tag
        for whole in sorted(names, key=lambda n: n != f"{name}.{default}"):
            config = timm.get_pretrained_cfg(whole)
            preprocessing = _TIMM_VALUES.get((config.mean[0], config.interpolation))
            if not (config.hf_hub_id and config.num_classes == 1000 and preprocessing):
                continue
            size = config.input_size[-1]
            result = measured.get((whole, str(size)), {})
            yield {
                "source": "timm",
                "network": network,
                "tag": config.tag,
                "address": f"https://huggingface.co/{config.hf_hub_id}/resolve/main/"
                "model.safetensors",
                "checksum": "etag",
                "classes": config.num_classes,
                "labels_offset": 0,
                "preprocessing": preprocessing,
                "image_size": size,
                "crop_fraction": config.crop_pct,
                "top1": result.get("top1"),
                "top5": result.get("top5"),
                "licence": config.license,
            }


# By the mean of red and the interpolation.
_TIMM_VALUES = {
    (0.485, "bicubic"): "timm",
    (0.485, "bilinear"): "torch",
    (0.5, "bicubic"): "tf",
    (0.5, "bilinear"): "tf",
}


def _networks():
    return json.loads(_NETWORKS.read_text())


def write(results: str) -> None:
    # Torch is imported before TensorFlow, which crashes in the reverse order.
    torch = [*torchvision(), *timm(results)]
    rows = [*tf_slim(), *keras(), *torch]
    with open(TABLE, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} rows in {pathlib.Path(TABLE)}")


if __name__ == "__main__":
    write(sys.argv[1])
