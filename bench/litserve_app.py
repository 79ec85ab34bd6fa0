"""LitServe with the same endpoint: one worker, no batching, its ZeroMQ queue. Run by bench.py in an environment of its own."""

import sys

import litserve as ls
from pydantic import BaseModel


class Name(BaseModel):
    name: str


class Greeting(BaseModel):
    text: str


class Greet(ls.LitAPI):
    def setup(self, device: str) -> None:
        pass

    def decode_request(self, request: Name) -> Name:
        return request

    def predict(self, x: Name) -> str:
        return f"Hello, {x.name}"

    def encode_response(self, output: str) -> Greeting:
        return Greeting(text=output)


if __name__ == "__main__":
    # fast_queue: what its documentation advises above 100 requests/s
    server = ls.LitServer(Greet(), accelerator="cpu", workers_per_device=1, timeout=120, fast_queue=True)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning", access_log=False
    )
