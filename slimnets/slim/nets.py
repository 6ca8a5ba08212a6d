"""The networks under the module names that TF-Slim and research/slim give them.

All are slimnets'; `slim.nets.resnet_v1.resnet_v1_50` is `nets.resnet_v1.resnet_v1_50`.
"""

from slimnets.nets import (
    alexnet,
    cifarnet,
    inception,
    inception_resnet_v2,
    inception_v1,
    inception_v2,
    inception_v3,
    inception_v4,
    lenet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    nasnet,
    nets_factory,
    overfeat,
    pnasnet,
    resnet_utils,
    resnet_v1,
    resnet_v2,
    vgg,
)

__all__ = [
    "alexnet",
    "cifarnet",
    "inception",
    "inception_resnet_v2",
    "inception_v1",
    "inception_v2",
    "inception_v3",
    "inception_v4",
    "lenet",
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3",
    "nasnet",
    "nets_factory",
    "overfeat",
    "pnasnet",
    "resnet_utils",
    "resnet_v1",
    "resnet_v2",
    "vgg",
]
