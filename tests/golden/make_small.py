"""Writes research_slim/small.json: what TensorFlow 1.15 computes in small networks.

    python3.7 tests/golden/make_small.py RESEARCH

RESEARCH as of make_research_slim.py. For each case every end point is noted:

- nasnet/training, nasnet/inference: NASNet-A for CIFAR of 6 cells and 8 filters, 10
  classes, without drop path; images of 32 pixels;
- xception/bounded: DeepLab's Xception-41 of 10 classes for inference, with bounded
  activations; images of 33 pixels;
- deeplab/*: the logits of DeepLab v3+ of 5 classes for inference, resized to the
  images' size; images of 65 pixels. Xception-65 with separable convolutions, ResNet-50
  (beta) with dense ones, MobileNet v2 without atrous convolutions and decoder.
"""

import functools
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "slim"))
import research_slim  # noqa: E402


def nasnet_cifar(images, is_training):
    import tf_slim
    from nets.nasnet import nasnet

    config = nasnet.cifar_config()
    config.set_hparam("num_cells", 6)
    config.set_hparam("num_conv_filters", 8)
    config.set_hparam("drop_path_keep_prob", 1.0)
    with tf_slim.arg_scope(nasnet.nasnet_cifar_arg_scope()):
        return nasnet.build_nasnet_cifar(images, 10, is_training, config)


def xception(images):
    from deeplab.core import xception
    from tensorflow.contrib import slim

    scope = xception.xception_arg_scope(use_bounded_activation=True)
    with slim.arg_scope(scope):
        return xception.xception_41(images, 10, is_training=False)


def deeplab(images, variant, separable, rates=(6, 12, 18), strides=(4,)):
    from absl import flags
    from deeplab import common, model

    flags.FLAGS.mark_as_parsed()
    options = common.ModelOptions(
        {"semantic": 5}, crop_size=images.shape[1:3].as_list(), atrous_rates=rates
    )._replace(
        model_variant=variant,
        output_stride=16,
        aspp_with_separable_conv=separable,
        decoder_use_separable_conv=separable,
        decoder_output_stride=strides,
    )
    logits = model._get_logits(images, options, is_training=False)["semantic"]
    logits = model._resize_bilinear(logits, images.shape[1:3].as_list())
    return logits, {"logits": logits}


CASES = {
    "nasnet/training": (functools.partial(nasnet_cifar, is_training=True), 32),
    "nasnet/inference": (functools.partial(nasnet_cifar, is_training=False), 32),
    "xception/bounded": (xception, 33),
    "deeplab/xception_65": (
        functools.partial(deeplab, variant="xception_65", separable=True),
        65,
    ),
    "deeplab/resnet_v1_50_beta": (
        functools.partial(deeplab, variant="resnet_v1_50_beta", separable=False),
        65,
    ),
    "deeplab/mobilenet_v2": (
        functools.partial(
            *(deeplab,),
            variant="mobilenet_v2",
            separable=True,
            rates=None,
            strides=None,
        ),
        65,
    ),
}


def main(research):
    sys.path[:0] = [research, str(pathlib.Path(research) / "slim")]
    found = {}
    for case, (build, size) in CASES.items():
        values = research_slim.end_point_values(build, [2, size, size, 3])
        found[case] = {k: research_slim.digest(v) for k, v in values.items()}
    path = HERE / "research_slim" / "small.json"
    lines = [
        f" {json.dumps(case)}: {{\n"
        + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in digests.items())
        + "\n }"
        for case, digests in found.items()
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
