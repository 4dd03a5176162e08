"""What is told of the output of a worker."""

from harness.executors.process import SHOWN, told


def test_little_is_told_whole_and_of_much_the_last_lines():
    assert told(b"one\ntwo\n") == "one\ntwo"
    assert told(b"50 %\r100 %\x1b[0m\xff\n") == "50 %\n100 %�[0m�"
    shown = told(b"".join(b"line %d\n" % n for n in range(1000)))
    assert len(shown) <= SHOWN
    assert shown.startswith("line ")
    assert shown.endswith("line 999")
    assert told(b"x" * 5000) == "x" * SHOWN


def test_of_a_death_it_is_told_where_it_was_however_many_calls_were_around():
    calls = "".join(f'  File "/a/{"long/" * 20}name.py", line {n} in call\n' for n in range(99))
    report = f'Fatal Python error: Segmentation fault\n\nStack\n  File "cell.py", line 7 in step\n{calls}'
    shown = told(f"before\n{report}\nExtension modules: numpy\n".encode())
    assert shown.startswith("Fatal Python error: Segmentation fault")
    assert 'File "cell.py", line 7 in step' in shown
    assert len(shown) == SHOWN
