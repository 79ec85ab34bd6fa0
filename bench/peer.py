"""The other side: the same two endpoints in FastAPI, served by one uvicorn process with uvloop and httptools."""

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Name(BaseModel):
    name: str


class Greeting(BaseModel):
    text: str


@app.post("/async")
async def greet(body: Name) -> Greeting:
    return Greeting(text=f"Hello, {body.name}")


@app.post("/sync")
def greet_in_a_thread(body: Name) -> Greeting:
    return Greeting(text=f"Hello, {body.name}")


class Text(BaseModel):
    text: str


@app.post("/echo")
async def echo(body: Text) -> Text:
    return body
