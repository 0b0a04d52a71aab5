"""MLPerf Tiny's serial protocol (mlcommons/tiny, benchmark/api): commands that end with `%`.

Every command is answered by lines that end with CR LF, the last of them `m-ready`; whatever is
wrong with a command is one line `e-[...]`. All answers are ASCII.
"""

import re
import time
from collections.abc import Callable

from dscim.errors import LinkError, SimulationError, UserError
from dscim.host.device.dut.formats import Format
from dscim.host.device.dut.inference import Inference

END, BLANKS = b"%", " \t"
MAX_COMMAND = 80
"""The longest command, in characters."""

MAX_BUFFER = 1 << 20
"""The largest buffer that `db load` allocates, in bytes."""

MAX_INFERENCES = 100_000
"""The limit on the inferences, and on the warm-ups, of a command."""

ALIVE_SECONDS = 2.0
"""Time between two lines during a long inference: the runner waits for a line for five seconds."""

PROFILE = "ULPMark for tinyML Firmware V0.0.1"

HELP = (
    PROFILE,
    "help: print this information",
    "name: print the name of the device",
    "profile: print the profile and the model",
    "timestamp: print the time in microseconds",
    "db load N: expect N bytes",
    "db HH[HH]*: load bytes as hexadecimal digits, until N bytes have come",
    "db print [N=16] [OFFSET=0]: print N bytes of the buffer",
    "infer [N=1] [W=10]: run N inferences on the buffer after W warm-ups",
    "results: print the last results again",
)


class _Wrong(Exception):
    """A command is wrong; the text of the line e-[...]."""


class _Stopped(Exception):
    """Another command came during an inference."""


class Protocol:
    """The device's side of the protocol.

    send: takes the bytes of an answer. waiting: whether bytes have come that were not passed to
    `receive` yet; if so, during an inference, it is stopped: its host has given up.
    vendor: the name of the device, ASCII without brackets.
    """

    def __init__(
        self,
        inference: Inference,
        form: Format,
        send: Callable[[bytes], None],
        waiting: Callable[[], bool] = lambda: False,
        vendor: str = "dscim",
    ) -> None:
        self._inference, self._form = inference, form
        self._send, self._waiting, self._vendor = send, waiting, vendor
        self._command = bytearray()
        self._too_long = False
        self._size = 0
        self._buffer = bytearray()
        self._results = ""
        self._said = 0.0
        self._commands: dict[str, Callable[[list[str]], None]] = {
            "name": lambda words: self._say(f"m-name-dut-[{vendor}]"),
            "profile": self._profile,
            "help": lambda words: self._say(*HELP),
            "timestamp": lambda words: self._timestamp(),
            "db": self._db,
            "infer": self._infer,
            "results": lambda words: self._print_results(),
        }

    def start(self) -> None:
        """Sends what a device sends after its reset."""
        self._say("m-init-done", "m-ready")

    def receive(self, data: bytes) -> None:
        """Takes bytes from the host, and answers each command that is complete."""
        for byte in data:
            if byte == END[0]:
                command, too_long = bytes(self._command), self._too_long
                self._command.clear()
                self._too_long = False
                self._answer(command, too_long)
            elif byte not in b"\r\n\0":
                self._too_long |= len(self._command) >= MAX_COMMAND
                if not self._too_long:
                    self._command.append(byte)

    def forget(self) -> None:
        """Discards an incomplete command; its host is gone."""
        self._command.clear()
        self._too_long = False

    def _answer(self, command: bytes, too_long: bool) -> None:
        words = printable(command).split()
        try:
            if too_long:
                raise _Wrong(f"A command is longer than {MAX_COMMAND} characters")
            if words:
                act = self._commands.get(words[0])
                if act is None:
                    raise _Wrong(f"Unknown command: {words[0]}")
                act(words[1:])
        except _Stopped:
            self._say("e-[Stopped: another command came during an inference]")
        except (_Wrong, UserError, SimulationError) as error:
            self._say(f"e-[{printable(str(error).encode(errors='replace')).rstrip('.')}]")
            if isinstance(error, SimulationError | LinkError):  # no later command can work
                raise
        self._say("m-ready")

    def _say(self, *lines: str) -> None:
        self._said = time.monotonic()
        self._send("".join(f"{line}\r\n" for line in lines).encode("ascii", "replace"))

    def _profile(self, words: list[str]) -> None:
        self._say(f"m-profile-[{PROFILE}]", f"m-model-[{self._form.model}]")

    def _timestamp(self) -> None:
        self._say(f"m-lap-us-{self._inference.microseconds()}")

    def _db(self, words: list[str]) -> None:
        if not words:
            raise _Wrong("Command 'db' requires a subcommand")
        if words[0] == "load":
            if len(words) < 2:
                raise _Wrong("Command 'db load' requires the number of bytes")
            self._size = _number(words[1], "the number of bytes", 1, MAX_BUFFER)
            self._buffer.clear()
            self._say(f"m-[Expecting {self._size} bytes]")
        elif words[0] == "print":
            self._print_buffer(words[1:])
        else:
            self._load(words[0])

    def _load(self, digits: str) -> None:
        if len(self._buffer) >= self._size:
            raise _Wrong(f"The buffer has all of its {self._size} bytes; 'db load' expects more")
        if len(digits) % 2:
            raise _Wrong(f"{len(digits)} hexadecimal digits are not whole bytes")
        wrong = re.search("[^0-9a-fA-F]", digits)
        if wrong:
            raise _Wrong(f"Invalid hexadecimal digit '{wrong.group()}'")
        data = bytes.fromhex(digits)
        self._buffer += data[: self._size - len(self._buffer)]
        if len(self._buffer) == self._size:
            self._say("m-load-done")

    def _print_buffer(self, words: list[str]) -> None:
        count = _number(words[0], "the number of bytes", 1, MAX_BUFFER) if words else 16
        start = _number(words[1], "the offset", 0, MAX_BUFFER) if len(words) > 1 else 0
        shown = self._buffer[start : start + count]
        if not shown:
            raise _Wrong(f"The buffer has {len(self._buffer)} bytes, none at {start}")
        for place in range(0, len(shown), 8):
            self._say("m-buffer-" + shown[place : place + 8].hex("-"))

    def _infer(self, words: list[str]) -> None:
        count = _number(words[0], "the inferences", 1, MAX_INFERENCES) if words else 1
        warm = _number(words[1], "the warm-ups", 0, MAX_INFERENCES) if len(words) > 1 else 10
        data = bytes(self._buffer)
        if len(data) != self._size:
            raise _Wrong(f"The buffer has {len(data)} of the {self._size} bytes of 'db load'")
        images = self._form.images(data, self._inference.network)
        self._say(f"m-warmup-start-{warm}")
        for _ in range(warm):
            self._inference.run(images, self._alive)
        self._say("m-warmup-done", f"m-infer-start-{count}")
        self._timestamp()
        for _ in range(count):
            outputs = self._inference.run(images, self._alive)
        self._timestamp()
        self._say("m-infer-done")
        results = self._form.results(data, outputs, self._inference.network)
        self._results = ",".join(f"{value:.3f}" for value in results)
        self._print_results()
        remark = self._inference.remark()
        if remark:
            self._say(f"m-info-[{remark}]")

    def _alive(self) -> None:
        """Sends a line during a long inference, and stops it if its host has given up."""
        if self._waiting():
            raise _Stopped
        if time.monotonic() - self._said > ALIVE_SECONDS:
            self._say("m-info-[still computing]")

    def _print_results(self) -> None:
        if not self._results:
            raise _Wrong("There are no results; 'infer' comes first")
        self._say(f"m-results-[{self._results}]")


def printable(text: bytes) -> str:
    """The text as ASCII without control characters and brackets, which would end a message."""
    shown = text.decode("ascii", "replace").replace("\N{REPLACEMENT CHARACTER}", "?")
    return re.sub(r"[\[\]]|[^ -~\t]", "?", shown)


def _number(word: str, what: str, low: int, high: int) -> int:
    """The number in `word`; _Wrong if it is not one within low..high."""
    if not re.fullmatch("[0-9]{1,9}", word) or not low <= int(word) <= high:
        raise _Wrong(f"{word} for {what} is not a number within {low}..{high}")
    return int(word)
