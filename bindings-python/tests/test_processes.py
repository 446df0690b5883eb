"""Processes: Ctrl-C, fork, multiprocessing, prefork servers, shutdown, and the end of the interpreter with calls in flight
(A3, F3, F4, O1).
"""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time

import pytest
from conftest import output_of, run_program

# A program's clock for "at once": far below what it would wait otherwise, and above what a loaded machine needs.
AT_ONCE = 30.0


@pytest.mark.parametrize(
    "call",
    [
        "worker().call(hang)",
        "caller().call(hang)",
        "AmbassadorProxy(target, backoff=Backoff(base=3600, max=3600, jitter='none')).call(fail)",
        "asyncio.run(worker().call(hang_async))",
        "asyncio.run(AmbassadorProxy(target, backoff=Backoff(base=3600, max=3600, jitter='none')).call(fail_async))",
    ],
    ids=[
        "a function on a worker",
        "a function on the caller's thread",
        "a backoff",
        "a coroutine",
        "a coroutine's backoff",
    ],
)
def test_ctrl_c_ends_at_once(call):
    program = f"""
        import asyncio, signal, sys, time
        from ambassador_proxy import AmbassadorProxy, Backoff
        import logging
        # What runs in the background may have been told to ignore Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        logging.getLogger("ambassador").addHandler(logging.StreamHandler(sys.stdout))

        target = "ctrl-c.example.com"
        def worker(): return AmbassadorProxy(target, timeout=3600, run_in="worker")
        def caller(): return AmbassadorProxy(target, timeout=3600, run_in="caller")
        def hang():
            print("Retry", flush=True)
            time.sleep(3600)
        async def hang_async():
            print("Retry", flush=True)
            await asyncio.sleep(3600)
        def fail(): raise OSError("x")
        async def fail_async(): raise OSError("x")
        try:
            {call}
        except KeyboardInterrupt:
            health = AmbassadorProxy(target).health()
            print("interrupted", health["in_flight"], health["calls"]["cancelled"], time.monotonic(), flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            assert "Retry" in child.stdout.readline()
            sent = time.monotonic()
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=AT_ONCE)
        finally:
            child.kill()
    assert (child.returncode, err) == (0, "")
    word, in_flight, cancelled, at = out.split()[-4:]
    assert (word, in_flight, cancelled) == ("interrupted", "0", "1")
    # Within 100 ms on an idle machine; a loaded one is given more.
    assert float(at) - sent < 2.0


@pytest.mark.parametrize("run_in", ["worker", "caller"])
@pytest.mark.parametrize("thread", ["main", "daemon"])
def test_the_interpreter_ends_at_once_with_a_call_in_flight(run_in, thread):
    program = f"""
        import sys, threading, time
        from ambassador_proxy import AmbassadorProxy, CallTimeoutError

        ambassador = AmbassadorProxy("end.example.com", max_retries=1, timeout=0.05, backoff=None, run_in="{run_in}")
        running = threading.Event()

        def hang():
            running.set()
            while True:
                try:
                    time.sleep(3600)
                except BaseException:
                    pass

        if "{thread}" == "daemon":
            threading.Thread(target=ambassador.call, args=(hang,), daemon=True).start()
            running.wait()
        elif "{run_in}" == "worker":
            try:
                ambassador.call(hang)
            except CallTimeoutError:
                pass
        else:
            try:
                ambassador.call(time.sleep, 3600)
            except CallTimeoutError:
                pass
        print("over")
    """
    assert output_of(program) == "over\n"


def test_the_interpreter_ends_while_many_threads_are_in_calls():
    """Daemon threads are cut off anywhere: in functions, in waits, between the two. Twenty times, for that is a race."""
    program = """
        import logging; logging.disable()
        import threading, time
        from ambassador_proxy import AmbassadorProxy, Backoff

        def forever(ambassador):
            def function():
                time.sleep(0.0001)
                raise OSError
            while True:
                try:
                    ambassador.call(function)
                except OSError:
                    pass

        for n, run_in in enumerate(["worker", "caller"] * 4):
            ambassador = AmbassadorProxy(
                f"end-{n}.example.com", timeout=0.0002, backoff=Backoff(base=0.0001, jitter="none"), run_in=run_in
            )
            threading.Thread(target=forever, args=(ambassador,), daemon=True).start()
        time.sleep(0.05)
    """
    for _ in range(20):
        ended = run_program(program)
        assert ended.returncode == 0, ended.stderr


FORKING = """
    import logging; logging.disable()
    import os, sys, threading, time, asyncio
    from ambassador_proxy import AmbassadorProxy, CallTimeoutError, ForkedError

    brief = AmbassadorProxy("fork.example.com", max_retries=2, timeout=0.05, backoff=None, run_in="{run_in}")
    ambassador = AmbassadorProxy("fork.example.com", timeout=3600, run_in="{run_in}")

    def use():
        # All the ways: a value, a bound that passes, a coroutine.
        assert ambassador.call(max, 1, 2) == 2
        try:
            brief.call(time.sleep, 3600)
        except CallTimeoutError:
            pass
        else:
            raise SystemExit("no timeout")
        assert asyncio.run(ambassador.call(asyncio.sleep, 0, 5)) == 5

    def in_child(check):
        pid = os.fork()
        if pid == 0:
            try:
                check()
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    {body}
"""


@pytest.mark.parametrize("run_in", ["worker", "caller"])
@pytest.mark.parametrize(
    "body",
    [
        "use(); in_child(use); use()",
        "in_child(use)",
        "in_child(lambda: in_child(use)); use()",
        "use(); [in_child(use) for _ in range(5)]; use()",
    ],
    ids=[
        "parent used, then child used",
        "only the child",
        "a grandchild",
        "prefork: five children, one after the other",
    ],
)
def test_a_forked_child_works(run_in, body):
    ended = run_program(FORKING.format(run_in=run_in, body=body))
    assert (ended.returncode, ended.stderr, ended.stdout) == (0, "", "")


def test_a_child_is_forked_while_calls_of_the_parents_are_in_flight():
    program = """
        import logging; logging.disable()
        import os, threading, time
        from ambassador_proxy import AmbassadorProxy, CallTimeoutError

        busy = AmbassadorProxy("busy.example.com", timeout=3600, run_in="worker")
        release, running = threading.Event(), threading.Semaphore(0)

        def hold():
            running.release()
            release.wait()

        callers = [threading.Thread(target=busy.call, args=(hold,)) for _ in range(8)]
        for caller in callers:
            caller.start()
        for _ in callers:
            running.acquire()
        pid = os.fork()
        if pid == 0:
            try:
                assert busy.health()["in_flight"] == 0, busy.health()
                assert busy.call(max, 1, 2) == 2
                brief = AmbassadorProxy("brief.example.com", max_retries=1, timeout=0.02)
                try:
                    brief.call(time.sleep, 3600)
                except CallTimeoutError:
                    os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert busy.health()["in_flight"] == 8
        release.set()
        for caller in callers:
            caller.join()
        assert busy.health()["calls"]["ok"] == 8
    """
    ended = run_program(program)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_function_that_forks_ends_its_call_in_the_parent_and_is_refused_in_the_child():
    program = """
        import os, time
        from ambassador_proxy import AmbassadorProxy, ForkedError

        ambassador = AmbassadorProxy("fork.example.com", timeout=60, run_in="caller")
        pid = None
        try:
            pid = ambassador.call(os.fork)
        except ForkedError as error:
            assert error.code == "FORKED" and "belongs to the parent" in str(error), error
            # The child goes on with calls of its own.
            assert ambassador.call(max, 1, 2) == 2
            os._exit(7)
        assert pid
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        assert ambassador.health()["calls"]["ok"] == 1
    """
    ended = run_program(program)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_function_on_a_worker_that_forks_and_returns_in_the_child_says_so_and_ends_there():
    program = """
        import os, sys
        from ambassador_proxy import AmbassadorProxy

        ambassador = AmbassadorProxy("fork.example.com", timeout=60, run_in="worker")
        pid = ambassador.call(os.fork)
        os.waitpid(pid, 0)
        print(ambassador.health()["calls"]["ok"])
    """
    ended = run_program(program)
    assert (ended.returncode, ended.stdout) == (0, "1\n")
    assert "ForkedError" in ended.stderr


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works(tmp_path, method):
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            import logging, multiprocessing, sys, time
            from ambassador_proxy import AmbassadorProxy, CallTimeoutError

            logging.disable()
            brief = AmbassadorProxy("pool.example.com", max_retries=2, timeout=0.05, backoff=None)
            ambassador = AmbassadorProxy("pool.example.com", timeout=3600)

            def work(n):
                try:
                    brief.call(time.sleep, 3600)
                except CallTimeoutError as error:
                    return ambassador.call(int.__mul__, n, error.attempts)

            if __name__ == "__main__":
                assert work(1) == 2
                with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
                    assert pool.map(work, range(8)) == [0, 2, 4, 6, 8, 10, 12, 14]
                assert work(1) == 2
            """
        )
    )
    ended = subprocess.run([sys.executable, program, method], capture_output=True, text=True, timeout=100)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_shutdown_refuses_new_calls_and_drains_those_in_flight():
    output_of(
        """
        import asyncio, threading
        import ambassador_proxy
        from ambassador_proxy import AmbassadorProxy, ShutdownError

        ambassador = AmbassadorProxy("shutdown.example.com", timeout=3600)
        release, running = threading.Event(), threading.Event()

        def hold():
            running.set()
            release.wait()
            return "charged"

        values = []
        caller = threading.Thread(target=lambda: values.append(ambassador.call(hold)))
        caller.start()
        running.wait()
        assert ambassador_proxy.shutdown(timeout=0.02) is False
        for way in (lambda: ambassador.call(int), lambda: ambassador.execute(int), ambassador.wrap(int)):
            try:
                way()
            except ShutdownError as error:
                assert error.code == "SHUTDOWN" and error.attempts == 0
            else:
                raise SystemExit("a call after shutdown ran")
        async def charge():
            return 1
        try:
            asyncio.run(ambassador.call(charge))
        except ShutdownError:
            pass
        else:
            raise SystemExit("a call after shutdown ran")
        release.set()
        assert ambassador_proxy.shutdown(timeout=60) is True
        caller.join()
        assert values == ["charged"]
        health = ambassador.health()
        assert health["calls"]["rejected"] == 4 and health["calls"]["ok"] == 1, health
        """
    )


def test_nothing_starts_at_import():
    output_of(
        """
        import threading, os
        import ambassador_proxy
        ambassador_proxy.AmbassadorProxy("lazy.example.com")
        assert threading.active_count() == 1
        if os.path.isdir("/proc/self/task"):
            assert len(os.listdir("/proc/self/task")) == 1
        """
    )


def test_a_call_in_an_exit_handler_works():
    output_of(
        """
        import atexit
        from ambassador_proxy import AmbassadorProxy
        ambassador = AmbassadorProxy("atexit.example.com")
        ambassador.call(int)
        atexit.register(lambda: print(ambassador.call(max, 1, 2)))
        """
    )
