"""The pipes of a trainer process are for messages alone."""

import subprocess
import sys
import textwrap

from napari_msd.trainer.messages import Finished, Ready

from .conftest import PATIENCE

NOISY = """
    import os, sys
    from napari_msd.trainer.channel import FrameWriter, read_frames
    from napari_msd.trainer.process import take_streams

    source, sink = take_streams()
    print("printed")
    os.write(1, b"written\\n")
    subprocess = __import__("subprocess")
    subprocess.run([sys.executable, "-c", "print('a child', repr(input.__name__))"])
    assert os.read(0, 10) == b""  # nobody else gets our requests
    writer = FrameWriter(sink)
    for frame in read_frames(source):
        writer.write(bytes(frame) * 2)
"""


def test_what_is_printed_is_no_message():
    request = b"\x03\x00\x00\x00a\nb"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(NOISY)], input=request * 2, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == 2 * b"\x06\x00\x00\x00a\nba\nb"  # binary: line ends stay as they are
    assert done.stderr.split(b"\n")[:2] == [b"printed", b"written"]
    assert b"a child" in done.stderr


def test_a_request_that_is_not_understood_is_logged_and_the_next_one_answered(own_client, listener):
    own_client.start()
    listener.wait(Ready)
    host = own_client._connection.trainer.host
    host._writer.write(b"nonsense")
    own_client.cancel()
    assert listener.wait(Finished) == Finished("stop")
    own_client.close()
    for thread in host._threads:
        thread.join(PATIENCE)
    assert any("not understood" in line for line in host._log)
