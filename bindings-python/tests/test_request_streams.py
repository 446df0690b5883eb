"""Bodies that are streams, and requests that are given up: by their task, by Ctrl-C, by a fork, by the end of their loop."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
import threading
import weakref
from typing import Any

import pytest
from ambassador_proxy import CallTimeoutError, TransportError
from conftest import FOREVER, output_of
from origin import Answer, Asked, Origin, echo, script, silence
from test_requests import proxy_of

MEGABYTE = b"x" * (1 << 20)


def test_a_body_is_read_as_it_arrives():
    second = threading.Event()

    def answer(asked: Asked) -> None:
        asked.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        assert second.wait(60)
        asked.write(b"6\r\nsecond\r\n0\r\n\r\n")

    with Origin(answer) as origin, proxy_of(origin.url).get("/", stream=True) as response:
        pieces = response.iter_bytes()
        assert next(pieces) == b"first"
        second.set()
        assert list(pieces) == [b"second"]
        with pytest.raises(RuntimeError, match="it comes once"):
            list(response.iter_bytes())


def test_a_body_is_read_as_it_arrives_by_a_coroutine():
    second = threading.Event()

    def answer(asked: Asked) -> None:
        asked.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        assert second.wait(60)
        asked.write(b"6\r\nsecond\r\n0\r\n\r\n")

    async def main(url: str) -> None:
        async with await proxy_of(url).aget("/", stream=True) as response:
            pieces = response.aiter_bytes()
            assert await anext(pieces) == b"first"
            second.set()
            assert [piece async for piece in pieces] == [b"second"]
            with pytest.raises(RuntimeError, match="it comes once"):
                [piece async for piece in response.aiter_bytes()]

    with Origin(answer) as origin:
        asyncio.run(main(origin.url))


def test_a_stream_is_no_content_until_it_was_read():
    async def main(url: str) -> None:
        response = await proxy_of(url).aget("/", stream=True)
        assert (await response.aread(), response.text) == (b"charged", "charged")

    with Origin(script(Answer(200, "charged"))) as origin:
        response = proxy_of(origin.url).get("/", stream=True)
        with pytest.raises(RuntimeError, match="the body is a stream"):
            _ = response.content
        assert (response.read(), response.content, response.text) == (b"charged", b"charged", "charged")
        assert list(response.iter_bytes()) == [b"charged"]
        asyncio.run(main(origin.url))


def test_lines_are_cut_wherever_pieces_end():
    pieces = ["one\ntw", "o\r", "\nZo\xc3", "\xab\rfour", "\n"]

    def answer(asked: Asked) -> None:
        asked.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for piece in pieces:
            sent = piece.encode("latin-1")
            asked.write(b"%x\r\n%b\r\n" % (len(sent), sent))
        asked.write(b"0\r\n\r\n")

    async def main(url: str) -> list[str]:
        async with await proxy_of(url).aget("/", stream=True) as response:
            return [line async for line in response.aiter_lines()]

    with Origin(answer) as origin:
        with proxy_of(origin.url).get("/", stream=True) as response:
            assert list(response.iter_lines()) == ["one", "two", "Zoë", "four"]
        assert asyncio.run(main(origin.url)) == ["one", "two", "Zoë", "four"]


def test_a_body_that_breaks_off_is_a_transport_error():
    def answer(asked: Asked) -> None:
        asked.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")

    async def main(url: str) -> None:
        response = await proxy_of(url).aget("/", stream=True)
        with pytest.raises(TransportError):
            await response.aread()

    with Origin(answer) as origin:
        response = proxy_of(origin.url).get("/", stream=True)
        with pytest.raises(TransportError):
            response.read()
        asyncio.run(main(origin.url))


def test_what_reading_the_body_raises_is_the_requests_error():
    broken = LookupError("no such receipt")

    def pieces():
        yield b"first"
        raise broken

    async def async_pieces():
        yield b"first"
        raise broken

    async def main(url: str, content: Any) -> None:
        await proxy_of(url, fallback="cached").apost("/", content=content)

    with Origin(echo) as origin:
        with pytest.raises(LookupError) as caught:
            proxy_of(origin.url).post("/", content=pieces())
        assert caught.value is broken
        for content in (pieces(), async_pieces()):
            with pytest.raises(LookupError) as caught:
                asyncio.run(main(origin.url, content))
            assert caught.value is broken


def test_a_body_whose_reading_hangs_does_not_keep_its_caller():
    hung = threading.Event()

    def pieces():
        yield b"first"
        hung.wait(FOREVER)

    with Origin(echo) as origin, pytest.raises(CallTimeoutError):
        proxy_of(origin.url, max_retries=1, timeout=0.1).post("/", content=pieces())
    hung.set()


def test_a_hundred_megabytes_go_both_ways_in_little_memory():
    told = output_of(
        """
        import asyncio, resource, socket, threading
        from ambassador_proxy import AmbassadorProxy

        PIECES, PIECE = 1600, b"x" * 65536

        def serve(listening):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

        def talk(connection):
            # What is sent is read to its last chunk; as much comes back.
            end = b""
            while not end.endswith(b"0\\r\\n\\r\\n"):
                end = (end + connection.recv(65536))[-5:]
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nconnection: close\\r\\ncontent-length: %d\\r\\n\\r\\n" % (PIECES * 65536))
            for _ in range(PIECES):
                connection.sendall(PIECE)

        listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        proxy = AmbassadorProxy(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=None)
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        proxy.health()
        before = peak()

        with proxy.post("/", content=(PIECE for _ in range(PIECES)), stream=True) as response:
            assert sum(len(piece) for piece in response.iter_bytes()) == PIECES * 65536

        async def pieces():
            for _ in range(PIECES):
                yield PIECE

        async def main():
            async with await proxy.apost("/", content=pieces(), stream=True) as response:
                read = 0
                async for piece in response.aiter_bytes():
                    read += len(piece)
                assert read == PIECES * 65536

        asyncio.run(main())
        print((peak() - before) / 1024)
        """
    )
    assert float(told) < 50


def test_a_task_that_is_cancelled_ends_its_request():
    async def main() -> None:
        with silence() as (url, arrived):
            proxy = proxy_of(url, timeout=None)
            task = asyncio.create_task(proxy.aget("/"))
            await asyncio.to_thread(arrived.wait, 60)
            assert proxy.health()["in_flight"] == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            while proxy.health()["in_flight"]:
                await asyncio.sleep(0)
            assert proxy.health()["calls"]["cancelled"] == 1

    asyncio.run(main())


def test_a_timeout_of_asyncios_ends_it_too():
    async def main() -> None:
        with silence() as (url, _), pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(proxy_of(url, timeout=None).aget("/"), 0.05)

    asyncio.run(main())


def test_many_tasks_of_one_loop_each_get_their_own():
    async def main(url: str) -> None:
        proxy = proxy_of(url)
        responses = await asyncio.gather(*(proxy.apost("/", json=number) for number in range(200)))
        assert [response.json()["body"] for response in responses] == [str(number) for number in range(200)]

    with Origin(echo) as origin:
        asyncio.run(main(origin.url), debug=True)


def test_two_loops_at_once_share_a_proxy():
    ended: list[int] = []

    def of_its_own(proxy: Any) -> None:
        async def main() -> None:
            responses = await asyncio.gather(*(proxy.aget(f"/{number}") for number in range(50)))
            ended.append(sum(response.is_success for response in responses))

        asyncio.run(main())

    with Origin(echo) as origin:
        proxy = proxy_of(origin.url)
        threads = [threading.Thread(target=of_its_own, args=(proxy,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert ended == [50, 50]


def test_a_loop_that_is_closed_with_requests_in_flight_goes_away():
    with silence() as (url, arrived):
        proxy = proxy_of(url, timeout=None)
        loop = asyncio.new_event_loop()
        task = loop.create_task(proxy.aget("/"))
        loop.run_until_complete(asyncio.sleep(0))
        assert arrived.wait(60)
        loop.close()
        gone = weakref.ref(loop)
        # Nobody will run it any more, and nobody is to be told so.
        task._log_destroy_pending = False
        del loop, task
        gc.collect()
        assert gone() is None
        while proxy.health()["in_flight"]:
            pass


def test_a_loop_that_looks_at_no_files_is_told_as_well():
    class Plain(asyncio.SelectorEventLoop):
        def add_reader(self, *_: object) -> None:
            raise NotImplementedError

    with Origin(echo) as origin:
        loop = Plain()
        try:
            for _ in range(3):
                assert loop.run_until_complete(proxy_of(origin.url).aget("/")).is_success
        finally:
            loop.close()


def test_ctrl_c_ends_a_request_at_once():
    program = """
    import signal, sys, threading
    from ambassador_proxy import AmbassadorProxy

    proxy = AmbassadorProxy(sys.argv[1], timeout=None)
    try:
        proxy.get("/")
    except KeyboardInterrupt:
        while proxy.health()["in_flight"]:
            pass
        print(proxy.health()["calls"]["cancelled"])
    """
    with silence() as (url, arrived):
        running = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), url], stdout=subprocess.PIPE, text=True
        )
        assert arrived.wait(60)
        running.send_signal(2)
        told, _ = running.communicate(timeout=60)
    assert (told.strip(), running.returncode) == ("1", 0)


def test_a_bound_around_a_request_interrupts_it():
    with silence() as (url, _):
        inner, outer = proxy_of(url, timeout=None), proxy_of("outer.example.com", max_retries=1, timeout=0.1)
        with pytest.raises(CallTimeoutError) as caught:
            outer.call(inner.get, "/")
        assert caught.value.target == "outer.example.com"
        while inner.health()["in_flight"]:
            pass


def test_a_forked_child_makes_requests_of_its_own():
    with Origin(echo) as origin:
        told = output_of(
            """
            import asyncio, os, sys
            from ambassador_proxy import AmbassadorProxy, ForkedError

            proxy = AmbassadorProxy(sys.argv[1])
            stream = proxy.get("/", stream=True)
            proxy.get("/")
            asyncio.run(proxy.aget("/"))
            if os.fork() == 0:
                assert proxy.get("/child").json()["path"] == "/child"
                assert asyncio.run(proxy.aget("/child")).is_success
                try:
                    stream.read()
                except ForkedError as error:
                    print(error.code, flush=True)
                os._exit(0)
            assert os.wait()[1] == 0
            assert stream.read()
            assert proxy.get("/parent").json()["path"] == "/parent"
            """,
            origin.url,
        )
    assert told == "FORKED\n"


@pytest.mark.parametrize("way", ["proxy.get('/')", "asyncio.run(proxy.aget('/'))", "next(stream.iter_bytes())"])
def test_an_interpreter_ends_with_requests_in_flight(way):
    def answer(asked: Asked) -> None:
        if asked.path == "/":
            arrived.set()
            never.wait(FOREVER)
        asked.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        arrived.set()
        never.wait(FOREVER)

    arrived, never = threading.Event(), threading.Event()
    program = f"""
    import asyncio, sys, threading
    from ambassador_proxy import AmbassadorProxy

    proxy = AmbassadorProxy(sys.argv[1], timeout=None)
    stream = proxy.get("/stream", stream=True)
    threading.Thread(target=lambda: {way}, daemon=True).start()
    sys.stdin.readline()
    """
    with Origin(answer) as origin:
        running = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), origin.url],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert arrived.wait(60)
        _, said = running.communicate("\n", timeout=60)
        never.set()
    assert (running.returncode, said) == (0, "")


def test_endpoints_of_ones_own_are_asked():
    with Origin(echo) as origin:
        proxy = proxy_of("http://payments.internal")
        proxy.set_endpoints([origin.url])
        assert proxy.get("/").json()["headers"]["host"] == "payments.internal"
        assert proxy.execute(lambda attempt: attempt.endpoint) == origin.url
