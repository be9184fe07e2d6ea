"""A headless Chromium spoken to through a pipe, by its own protocol: no driver to install."""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
# The protocol reads from descriptor 3 and writes to 4: ours are put there, whatever lies there.
_START = """
import fcntl, os, sys
ours = [fcntl.fcntl(int(word), fcntl.F_DUPFD, 10) for word in sys.argv[1:3]]
for place, descriptor in zip((3, 4), ours):
    os.dup2(descriptor, place)
os.execv(sys.argv[3], sys.argv[3:])
"""
_KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowRight": 39}
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)


class Browser:
    """One page of a browser; what it logs and asks of the network is kept in `events`."""

    def __init__(self, profile: Path):
        reads, self._commands = os.pipe()
        self._replies, writes = os.pipe()
        words = [CHROMIUM, "--remote-debugging-pipe", f"--user-data-dir={profile}", *_FLAGS]
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", _START, str(reads), str(writes), *words],
            pass_fds=(reads, writes),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reads)
        os.close(writes)
        self._number, self._rest, self._session = 0, b"", ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for room in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{room}.enable")

    def close(self) -> None:
        """End the browser."""
        os.close(self._commands)
        os.close(self._replies)
        self._process.kill()
        self._process.wait()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            reply = self._read()
            if reply.get("id") == self._number:
                assert "error" not in reply, reply
                return reply["result"]
            self.events.append(reply)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._replies, 1 << 16)
            assert part, "the browser has ended"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(self, address: str) -> None:
        """Load a page anew and wait until it has loaded."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        self.wait("location.href !== 'about:blank' && document.readyState === 'complete'")

    def run(self, code: str) -> Any:
        """Return the value of an expression on the page."""
        about = {"returnByValue": True, "awaitPromise": True, "userGesture": True}
        done = self.call("Runtime.evaluate", expression=code, **about)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, code: str, seconds: float = 30.0) -> None:
        """Wait until an expression is true."""
        ends = time.monotonic() + seconds
        while not self.run(code):
            assert time.monotonic() < ends, f"never true: {code}"
            time.sleep(0.05)

    def press(self, key: str) -> None:
        """Press a key where the focus is."""
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        about = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS.get(key, 0), **text}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, **about)

    def size(self, width: int, height: int, dark: bool = False) -> None:
        """Show the page in a window of this size, to a system of this theme."""
        shape = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **shape)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, to: Path) -> None:
        """Write what is seen as a PNG."""
        to.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def found(self, method: str, test: Callable[[dict[str, Any]], bool] = bool) -> list[Any]:
        """Return what the events of a kind say, those that pass the test."""
        said = [event["params"] for event in self.events if event.get("method") == method]
        return [params for params in said if test(params)]
