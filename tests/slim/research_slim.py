"""How a network is built and what is noted of it, the same way in both TensorFlows.

tests/golden/make_research_slim.py runs this on TensorFlow 1.15 (Python 3.7) with
research/slim's networks, test_research_slim.py on today's with slimnets'. Nothing here
imports either. tests/golden/README.md says what is in the files.
"""

import contextlib
import zlib

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
WEIGHT_DECAY = 0.00004
FORMS = ("training", "inference", "bare", "features")

# A network is built at its default_image_size. Where numbers are computed, images have
# 160 pixels or these.
SMALL = {
    "alexnet_v2": 224,
    "cifarnet": 32,
    "i3d": 96,
    "inception_v1": 224,
    "lenet": 28,
    "nasnet_cifar": 32,
    "overfeat": 231,
    "s3dg": 96,
    "vgg_16": 224,
    "vgg_19": 224,
    "vgg_a": 224,
}
VIDEOS = ("i3d", "s3dg")
# Other sizes of a network that is there in every form: these are in two.
SIBLINGS = {
    *("vgg_a", "vgg_19", "resnet_v1_101", "resnet_v1_152", "resnet_v1_200"),
    *("resnet_v2_101", "resnet_v2_152", "resnet_v2_200", "mobilenet_v1_075"),
    *("mobilenet_v1_050", "mobilenet_v1_025", "mobilenet_v2_140", "mobilenet_v2_035"),
    *("mobilenet_v3_small_minimalistic", "mobilenet_v3_large_minimalistic"),
    *("mobilenet_edgetpu_075", "nasnet_large", "pnasnet_large"),
}
# These take dropout's keep_prob from the scope, and not as an argument.
SCOPED_DROPOUT = ("mobilenet_v2", "mobilenet_v3", "mobilenet_edgetpu")

# What makes the Config of a network that takes one: name -> (module, function).
CONFIGS = {
    "nasnet_cifar": ("nasnet.nasnet", "cifar_config"),
    "nasnet_mobile": ("nasnet.nasnet", "mobile_imagenet_config"),
    "nasnet_large": ("nasnet.nasnet", "large_imagenet_config"),
    "pnasnet_mobile": ("nasnet.pnasnet", "mobile_imagenet_config"),
    "pnasnet_large": ("nasnet.pnasnet", "large_imagenet_config"),
}
# tf.contrib.slim.nets: name -> (module, arg scope).
CONTRIB = {
    "alexnet_v2": ("alexnet", "alexnet_v2_arg_scope"),
    "inception_v1": ("inception", "inception_v1_arg_scope"),
    "inception_v2": ("inception", "inception_v2_arg_scope"),
    "inception_v3": ("inception", "inception_v3_arg_scope"),
    "overfeat": ("overfeat", "overfeat_arg_scope"),
    "resnet_v1_50": ("resnet_v1", "resnet_arg_scope"),
    "resnet_v1_101": ("resnet_v1", "resnet_arg_scope"),
    "resnet_v2_50": ("resnet_v2", "resnet_arg_scope"),
    "resnet_v2_101": ("resnet_v2", "resnet_arg_scope"),
    "vgg_16": ("vgg", "vgg_arg_scope"),
}
# DeepLab's, at 1001 classes with global_pool where the function has it.
DEEPLAB = {
    "resnet_v1_18_beta": ("resnet_v1_beta", "resnet_arg_scope"),
    "resnet_v1_50_beta": ("resnet_v1_beta", "resnet_arg_scope"),
    "resnet_v1_101_beta": ("resnet_v1_beta", "resnet_arg_scope"),
    "xception_41": ("xception", "xception_arg_scope"),
    "xception_65": ("xception", "xception_arg_scope"),
    "xception_71": ("xception", "xception_arg_scope"),
}
# Networks that make or judge pictures: name -> (shape, arguments of the call).
PICTURES = {
    "cyclegan.cyclegan_generator_resnet": ([2, 32, 32, 3], {}),
    "dcgan.discriminator": ([2, 32, 32, 3], {}),
    "dcgan.generator": ([2, 100], {}),
    "pix2pix.pix2pix_discriminator": ([2, 64, 64, 3], {"num_filters": [64, 128, 256]}),
    "pix2pix.pix2pix_generator": (
        [2, 128, 128, 3],
        # Without dropout, which pix2pix has in inference too.
        {"num_outputs": 3, "blocks": lambda m: [m.Block(n, 0) for n in _FILTERS]},
    ),
}
_FILTERS = (64, 128, 256, 512, 512, 512, 512)

# What else a call may ask for, in inference: name -> one dict of arguments each.
OPTIONS = {
    "alexnet_v2": [{"global_pool": True}, {"spatial_squeeze": False}],
    "i3d": [{"spatial_squeeze": False}],
    "inception_resnet_v2": [{"create_aux_logits": False}],
    "inception_v1": [{"global_pool": True}, {"spatial_squeeze": False}],
    "inception_v2": [
        {"global_pool": True},
        {"depth_multiplier": 0.5, "min_depth": 8.0},
        {"spatial_squeeze": False},
    ],
    "inception_v3": [
        {"create_aux_logits": False},
        {"depth_multiplier": 0.5},
        {"global_pool": True},
        {"spatial_squeeze": False},
    ],
    "inception_v4": [{"create_aux_logits": False}],
    "mobilenet_v1": [
        {"global_pool": True},
        {"depth_multiplier": 0.5, "min_depth": 16.0},
        {"spatial_squeeze": False},
    ],
    "mobilenet_v2": [
        {"base_only": True},
        {"output_stride": 16, "use_explicit_padding": True},
        {"depth_multiplier": 0.5, "finegrain_classification_mode": True},
        {"depth_multiplier": 0.1, "min_depth": 16, "divisible_by": 8},
        {"final_endpoint": "layer_7", "base_only": True},
        {"use_reduce_mean_for_pooling": True},
    ],
    "mobilenet_v3_large": [
        {"base_only": True, "output_stride": 16, "final_endpoint": "layer_17"},
        {"base_only": True, "use_explicit_padding": True, "final_endpoint": "layer_17"},
        {"depth_multiplier": 0.75},
        {"final_endpoint": "layer_9", "base_only": True},
    ],
    "mobilenet_v3_small": [{"depth_multiplier": 0.35}],
    "nasnet_mobile": [{"final_endpoint": "Cell_3"}],
    "overfeat": [{"global_pool": True}, {"spatial_squeeze": False}],
    "pnasnet_mobile": [{"final_endpoint": "Cell_3"}],
    "resnet_v1_50": [
        {"global_pool": False, "output_stride": 16, "spatial_squeeze": False},
        {"spatial_squeeze": False},
        {"depth_multiplier": 0.25, "min_base_depth": 8.0},
        {"store_non_strided_activations": True, "output_stride": 8},
    ],
    "resnet_v2_50": [
        {"global_pool": False, "output_stride": 8, "spatial_squeeze": False},
        {"spatial_squeeze": False},
    ],
    "s3dg": [
        {"depth_multiplier": 0.5},
        {"first_temporal_kernel_size": 7, "gating_startat": "Mixed_4b"},
    ],
    "vgg_16": [
        {"spatial_squeeze": False},
        {"fc_conv_padding": "SAME", "spatial_squeeze": False},
        {"global_pool": True},
    ],
}
DEEPLAB_OPTIONS = {
    "resnet_v1_50_beta": [{"output_stride": 16, "multi_grid": [1, 2, 4]}],
    "xception_41": [{"output_stride": 16}, {"regularize_depthwise": True}],
    "xception_65": [{"output_stride": 8, "multi_grid": [1, 2, 4]}],
}


def cases(factory_names):
    """Yields (home, name, form) of everything noted: the parts of a key in the file."""
    for name in factory_names:
        forms = FORMS[:2] if name in SIBLINGS else (*FORMS, *_options(OPTIONS, name))
        yield from (("factory", name, form) for form in forms)
    for name in CONTRIB:
        yield from (("contrib", name, form) for form in FORMS)
    for name in DEEPLAB:
        forms = (*FORMS, *_options(DEEPLAB_OPTIONS, name))
        yield from (("deeplab", name, form) for form in forms)
    for name in PICTURES:
        yield from (("pictures", name, form) for form in ("training", "inference"))


def _options(options, name):
    return [f"options_{i}" for i in range(len(options.get(name, ())))]


def value_of(name, shape):
    """The value of a variable: the rule of tests/golden/README.md."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    last = name.split("/")[-1]
    if last in ("gamma", "moving_variance"):
        return random.uniform(0.8, 1.2, shape).astype(np.float32)
    if len(shape) < 2:
        return (0.1 * random.standard_normal(shape)).astype(np.float32)
    inputs = np.prod(shape[:2] if last == "depthwise_weights" else shape[:-1])
    return (random.standard_normal(shape) / np.sqrt(inputs)).astype(np.float32)


def jittered(name, values, jitter):
    """The values of a variable, each that part larger or smaller."""
    random = np.random.RandomState(zlib.crc32(name.encode()) ^ 1)
    return values + jitter * values * random.choice([-1, 1], values.shape)


def initialize(session, jitter=0.0):
    """Gives all variables of the graph their values, or nearly these."""

    def value(name, shape):
        return jittered(name, value_of(name, shape), jitter)

    # In one run, of which each costs TensorFlow 1 a second in a large graph.
    values = {
        v.initializer.inputs[1]: value(v.op.name, v.shape.as_list())
        for v in v1.global_variables()
        if v.dtype.base_dtype == tf.float32
    }
    session.run(v1.global_variables_initializer(), values)


def end_point_values(build, shape):
    """`{end point: its value}` of a network that `build` makes of a placeholder."""
    with tf.Graph().as_default(), v1.Session() as session:
        images = v1.placeholder(tf.float32, shape)
        _, end_points = build(images)
        initialize(session)
        return session.run(dict(end_points), {images: input_value(shape)})


def input_value(shape):
    return np.random.RandomState(0).uniform(-1, 1, shape).astype(np.float32)


def digest(array):
    """Shape, mean, standard deviation and the first eight values."""
    array = np.asarray(array, np.float64)
    numbers = [array.mean(), array.std(), *array.ravel()[:8]]
    return {"shape": list(array.shape), "numbers": [float(f"{n:.8g}") for n in numbers]}


class Case:
    """One network in one form, built in the default graph by `build`.

    Args:
        slim: the module that has arg_scope and dropout for this network.
        function, scope: the network and what makes its arg scope, or None.
        config: makes its Config, where it takes one (NASNet).
        module: where the function comes from, for the arguments that name its parts.
    """

    def __init__(self, case, slim, function, scope, config=None, module=None):
        self.home, self.name, self.form = case
        self.slim, self.function, self.scope = slim, function, scope
        self.config, self.module = config, module

    def shape(self, small):
        if self.home == "pictures":
            return PICTURES[self.name][0]
        size = 231 if self.name == "overfeat" else 224
        if self.home != "deeplab":  # Of which its functions say nothing.
            size = getattr(self.function, "default_image_size", size)
        size = SMALL.get(self.name, 160) if small else size
        if self.name in VIDEOS:
            return [2, 16, size, size, 3]
        return [2, size, size, 1 if self.name == "lenet" else 3]

    def arguments(self, dropout):
        if self.home == "pictures":
            given = {
                key: value(self.module) if callable(value) else value
                for key, value in PICTURES[self.name][1].items()
            }
            return {**given, "is_training": self.form == "training"}
        classes = 1001 if self.home == "deeplab" else 1000
        given = {"num_classes": 10 if self.name in ("lenet", "cifarnet") else classes}
        if self.form == "features":
            given["num_classes"] = None
        if self.form != "bare":
            given["is_training"] = self.form == "training"
        if self.form.startswith("options_"):
            options = DEEPLAB_OPTIONS if self.home == "deeplab" else OPTIONS
            given.update(options[self.name][int(self.form.split("_")[1])])
        if not dropout and self.config:
            given["config"] = self.config()
            given["config"].set_hparam("dense_dropout_keep_prob", 1.0)
            given["config"].set_hparam("drop_path_keep_prob", 1.0)
        elif not dropout and self.name.startswith("xception"):
            given["keep_prob"] = 1.0
        elif not dropout and not self.name.startswith(("resnet", *SCOPED_DROPOUT)):
            given["dropout_keep_prob"] = 1.0
        return given

    @contextlib.contextmanager
    def opened(self, dropout):
        """The arg scope of the network, and in it what else is set for dropout."""
        with contextlib.ExitStack() as stack:
            if self.form != "bare" and self.scope is not None:
                bare = self.home == "pictures"
                scope = self.scope() if bare else self.scope(weight_decay=WEIGHT_DECAY)
                stack.enter_context(self.slim.arg_scope(scope))
            if not dropout and self.name.startswith(SCOPED_DROPOUT):
                scope = self.slim.arg_scope([self.slim.dropout], keep_prob=1.0)
                stack.enter_context(scope)
            yield

    def build(self, small=False, dropout=True):
        """Returns the placeholder, the output and the end points."""
        images = v1.placeholder(tf.float32, self.shape(small), name="images")
        with self.opened(dropout):
            net, end_points = self.function(images, **self.arguments(dropout))
        return images, net, end_points

    def structure(self):
        """What the graph is made of, at the network's default image size."""
        with tf.Graph().as_default():
            _, net, end_points = self.build()
            trainable = {id(v) for v in v1.trainable_variables()}
            variables = [
                f"{v.op.name} {_shape(v)}{' trainable' * (id(v) in trainable)}"
                for v in v1.global_variables()
            ]
            losses = [loss.op.name for loss in v1.losses.get_regularization_losses()]
            names = {v.op.name for v in v1.global_variables()}
            return {
                "output": f"{net.op.name} {_shape(net)}",
                "variables": variables,
                "model_variables": len(v1.get_collection("model_variables")),
                "regularized": [regularized(loss, names) for loss in losses],
                "update_ops": len(v1.get_collection(v1.GraphKeys.UPDATE_OPS)),
                "end_points": [
                    f"{key} {_shape(value)}" for key, value in end_points.items()
                ],
                "nodes": [value.op.name for value in end_points.values()],
            }

    def numbers(self, jitter=0.0):
        """What it computes from the README's variables, without dropout.

        Args:
            jitter: by what part of themselves the variables are off.
        """
        with tf.Graph().as_default():
            images, net, end_points = self.build(small=True, dropout=False)
            fetches = {"output": net}
            if "AuxLogits" in dict(end_points):
                fetches["aux_logits"] = end_points["AuxLogits"]
            losses = v1.losses.get_regularization_losses()
            if losses:
                fetches["regularization_loss"] = v1.add_n(losses)
            updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
            with v1.Session() as session:
                initialize(session, jitter)
                feed = {images: input_value(images.shape.as_list())}
                values, _ = session.run([fetches, updates], feed)
                moving = [v for v in v1.global_variables() if "/moving_" in v.op.name]
                if updates and moving:
                    after = [value.ravel() for value in session.run(moving)]
                    values["moving_after_one_update"] = np.concatenate(after)
            return {key: digest(value) for key, value in values.items()}


def unpacked(data):
    """`{key of a case: its manifest}`: the lists, which cases share, put back."""

    def unpack(value):
        if isinstance(value, str) and value.startswith("list "):
            return data["lists"][value[5:]]
        return value

    return {
        key: {name: unpack(value) for name, value in manifest.items()}
        for key, manifest in data["cases"].items()
    }


def parameter(value):
    """A parameter as text: `name`, `name=default` or `**name`."""
    stars = {value.VAR_KEYWORD: "**", value.VAR_POSITIONAL: "*"}
    name = stars.get(value.kind, "") + value.name
    if value.default is value.empty:
        return name
    return (
        name + "=" + (getattr(value.default, "__name__", None) or repr(value.default))
    )


def regularized(loss_name, variables):
    """The variable that a regularization loss is of.

    TensorFlow 1 names the loss by the layer's own name for its weights, under the scope
    of the operations, which repeats the scope of a network that is opened twice.
    """
    name = loss_name.split("/Regularizer/")[0].replace("kernel", "weights")
    parts = (name + "es" if name.endswith("/bias") else name).split("/")
    names = ("/".join(parts[i:]) for i in range(len(parts)))
    return next((n for n in names if n in variables), name)


def _shape(tensor):
    dimensions = tensor.shape.as_list() if tensor.shape.rank is not None else ["?"]
    return "x".join("?" if d is None else str(d) for d in dimensions) or "scalar"
