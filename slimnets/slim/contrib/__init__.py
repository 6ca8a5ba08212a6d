"""TensorFlow 1 and tf.contrib for programs that were written for them.

    from slimnets.slim import contrib
    contrib.install()                  # the first lines of a program
    import tensorflow as tf            # is TensorFlow 1's face from here on

`slimnets run PROGRAM` does the same to a program whose text cannot change. `tensorflow`
is `tensorflow.compat.v1` then, with version 2's behaviour off, and what else TensorFlow
1 had: `tf.contrib` over `slimnets.slim`, `tf.layers`, `tf.nn.rnn_cell`. Nothing is
looked up before it is asked for; what is nowhere says so when it is used.
"""

from __future__ import annotations

from slimnets.slim.contrib.face import install as install
from slimnets.slim.contrib.stand import given as given
from slimnets.slim.contrib.stand import home_of as home_of
from slimnets.slim.contrib.stand import object_of as object_of

__all__ = ["given", "home_of", "install", "object_of"]
