"""Arg scopes: one system with TF-Slim's, checked, safe across threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import tensorflow as tf
import tf_slim

import slimnets
from slimnets import layers, scopes
from tests.helpers import v1


@slimnets.add_arg_scope
def make(inputs, size=1, *, color="red"):
    return inputs, size, color


@slimnets.add_arg_scope
def anything(**kwargs):
    return kwargs


def test_a_scope_gives_defaults_and_a_call_wins_over_it():
    with slimnets.arg_scope([make], size=2, color="blue"):
        assert make(0) == (0, 2, "blue")
        assert make(0, size=3) == (0, 3, "blue")
        assert make(0, 3) == (0, 3, "blue")
        with slimnets.arg_scope([make], size=5):
            assert make(0) == (0, 5, "blue")
    assert make(0) == (0, 1, "red")


def test_a_scope_may_be_kept_and_opened_again():
    with slimnets.arg_scope([make], size=2) as kept:
        pass
    with slimnets.arg_scope([make], size=7, color="green"):
        with slimnets.arg_scope(kept):
            assert make(0) == (0, 2, "red")
        assert make(0) == (0, 7, "green")


def test_default_arg_scope_lies_under_what_is_open():
    with slimnets.arg_scope([make], size=2, color="blue") as defaults:
        pass
    with slimnets.arg_scope([make], size=3), scopes.default_arg_scope(defaults):
        assert make(0) == (0, 3, "blue")


BAD = {
    "misspelt": (([make], {"sise": 1}), ["sise", "'size'", "make", "color"]),
    "plain": (([len], {}), ["len", "add_arg_scope"]),
    "not a list": ((make, {"size": 1}), ["list", "make"]),
    "second bad": (([anything, make], {"sise": 1}), ["sise"]),
    "scope and keywords": (({}, {"size": 1}), ["size"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_scope_that_fails_leaves_the_open_one_alone(case):
    (ops, kwargs), words = BAD[case]
    with slimnets.arg_scope([make], size=2) as outer:
        for error in (ValueError, TypeError):
            with (
                pytest.raises(error) as caught,
                slimnets.arg_scope(ops, **kwargs),
            ):
                pass
            assert all(word in str(caught.value) for word in words)
            assert slimnets.current_arg_scope() == outer
            assert make(0) == (0, 2, "red")
    assert slimnets.current_arg_scope() == {}


def test_an_error_inside_closes_the_scope():
    with pytest.raises(KeyError), slimnets.arg_scope([make], size=2):
        raise KeyError
    assert make(0) == (0, 1, "red")


def test_any_keyword_is_accepted_where_the_function_takes_any():
    with slimnets.arg_scope([anything], whatever=1):
        assert anything() == {"whatever": 1}


def test_functools_wraps_keeps_the_name_and_signature():
    assert layers.conv2d.__name__ == "conv2d"
    assert "Convolves" in layers.conv2d.__doc__


SHARED = (
    "avg_pool2d",
    "batch_norm",
    "conv2d",
    "convolution2d",
    "dropout",
    "flatten",
    "fully_connected",
    "max_pool2d",
    "softmax",
)


@pytest.mark.parametrize("name", SHARED)
def test_layers_answer_to_tf_slims_scopes_and_the_reverse(name):
    ours, theirs = getattr(layers, name), getattr(tf_slim, name)
    key = tf_slim.arg_scope_func_key(theirs)
    assert tf_slim.arg_scope_func_key(ours) == key
    for open_scope in (slimnets.arg_scope, tf_slim.arg_scope):
        for function in (ours, theirs):
            with open_scope([function], scope="here") as scope:
                assert scope[key] == {"scope": "here"}
                assert slimnets.current_arg_scope() == scope
                assert tf_slim.current_arg_scope() == scope


def test_old_code_says_slim_batch_norm_and_means_slimnets():
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [2, 8, 8, 3])
        with tf_slim.arg_scope(
            [tf_slim.conv2d],
            normalizer_fn=tf_slim.batch_norm,
            normalizer_params={"scale": True},
        ):
            layers.conv2d(images, 4, 3)
        names = [v.op.name for v in v1.global_variables()]
    assert names == [
        "Conv/weights",
        *(f"Conv/BatchNorm/{n}" for n in ("gamma", "beta")),
        *(f"Conv/BatchNorm/{n}" for n in ("moving_mean", "moving_variance")),
    ]


def test_tf_slims_own_functions_may_be_scoped():
    with slimnets.arg_scope([tf_slim.one_hot_encoding], num_classes=4):
        assert tf_slim.one_hot_encoding([1]).shape == [1, 4]
    with (
        pytest.raises(ValueError, match="num_classes"),
        slimnets.arg_scope([tf_slim.one_hot_encoding], num_clases=4),
    ):
        pass


def test_a_new_thread_starts_with_the_main_threads_scope_and_keeps_to_itself():
    seen = {}
    opened, looked = threading.Event(), threading.Event()

    def work():
        seen["start"] = make(0)
        with slimnets.arg_scope([make], color="black"):
            opened.set()
            looked.wait(10)
            seen["own"] = make(0)
        seen["end"] = make(0)

    with slimnets.arg_scope([make], size=4):
        thread = threading.Thread(target=work)
        thread.start()
        assert opened.wait(10)
        assert make(0) == (0, 4, "red")
        with slimnets.arg_scope([make], size=9):
            looked.set()
            thread.join()
    assert seen == {
        "start": (0, 4, "red"),
        "own": (0, 4, "black"),
        "end": (0, 4, "red"),
    }


NETWORKS = [
    (name, scale, decay)
    for name in ("resnet_v1_cifar_20", "resnet_v2_cifar_20")
    for scale in (True, False)
    for decay in (0.0, 0.1)
]


def signature_of(job):
    """What a network built under its own scope looks like."""
    name, scale, decay = job
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 33, 33, 3])
        with (
            slimnets.arg_scope([layers.batch_norm], scale=scale),
            slimnets.arg_scope(
                [layers.conv2d], weights_regularizer=layers.l2_regularizer(decay)
            ),
        ):
            slimnets.build(name, images, num_classes=3, depth_multiplier=0.1)
        losses = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
        return [v.op.name for v in v1.global_variables()], len(losses)


def test_eight_threads_build_what_one_does():
    alone = [signature_of(job) for job in NETWORKS]
    assert len({str(result) for result in alone}) == 8
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(signature_of, NETWORKS)) == alone


@pytest.mark.slow
def test_eight_threads_build_what_one_does_twenty_times():
    alone = [signature_of(job) for job in NETWORKS]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            assert list(pool.map(signature_of, NETWORKS)) == alone
    assert slimnets.current_arg_scope() == {}
