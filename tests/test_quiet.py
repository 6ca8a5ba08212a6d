"""What is kept off standard error comes back to it."""

import os
import threading

from slimnets.quiet import standard_error_in


def test_two_threads_leave_standard_error_as_it_was(capfd, tmp_path):
    inside, entered = threading.Event(), threading.Event()

    def second():
        inside.wait()
        with open(tmp_path / "second", "wb") as file, standard_error_in(file):
            entered.set()

    thread = threading.Thread(target=second)
    thread.start()
    with open(tmp_path / "first", "wb") as file, standard_error_in(file):
        inside.set()
        entered.wait(0.2)  # As long as the other one waits, there is nothing to see.
        os.write(2, b"kept")
    thread.join()
    os.write(2, b"shown")
    assert capfd.readouterr().err == "shown"
    assert (tmp_path / "first").read_bytes() == b"kept"
