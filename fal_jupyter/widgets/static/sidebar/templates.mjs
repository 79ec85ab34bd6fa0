// @ts-check
/**
 * The cells that a newcomer is offered: an app of text, pictures or a stream, a call of each, and the cell that calls
 * an app of elsewhere.
 */

/**
 * One template. `name` is the class's, `cell` its source with that name, `call` the cell below it.
 * @typedef {{label: string, caption: string, name: string, cell: string, call: string}} Template
 */

/** @type {Record<string, Template>} */
export const TEMPLATES = {
  text: {
    label: "Text",
    caption: "An app that takes and gives text",
    name: "Hello",
    cell: `%%fal_app
class Hello(fal.App):
    def setup(self):
        self.greeting = "Hello"  # load a model here: it runs once per runner

    @fal.endpoint("/")
    def hi(self, name: str = "world") -> dict:
        """Greet somebody."""
        return {"text": f"{self.greeting}, {name}"}
`,
    call: 'Hello.hi(name="Ada")',
  },
  image: {
    label: "Image",
    caption: "An app that draws pictures from a form",
    name: "Painter",
    cell: `%%fal_app
import math
import random

import PIL.Image
from fal.toolkit import Image
from pydantic import BaseModel, Field


class Drawing(BaseModel):
    waves: int = Field(5, ge=1, le=20, description="How many waves to add up")
    size: int = Field(256, ge=64, le=1024, description="Width and height in pixels")
    seed: int = Field(7, ge=0, le=4294967295)


class Painting(BaseModel):
    image: Image
    seed: int


class Painter(fal.App):
    @fal.endpoint("/")
    def paint(self, drawing: Drawing) -> Painting:
        """Draw a picture of waves; the same seed draws the same one."""
        chance = random.Random(drawing.seed)
        waves = [(chance.uniform(0.5, 6), chance.uniform(0.5, 6), chance.uniform(0, 6)) for _ in range(drawing.waves)]
        tint = [chance.randint(60, 255) for _ in range(3)]

        def colour(x: float, y: float) -> tuple[int, ...]:
            level = sum(math.sin(a * x + b * y + c) for a, b, c in waves) / len(waves)
            return tuple(int(part * (1 + level) / 2) for part in tint)

        steps = [6 * n / drawing.size for n in range(drawing.size)]
        picture = PIL.Image.new("RGB", (drawing.size, drawing.size))
        picture.putdata([colour(x, y) for y in steps for x in steps])
        return Painting(image=Image.from_pil(picture), seed=drawing.seed)
`,
    call: "Painter.paint(waves=7, seed=42)",
  },
  stream: {
    label: "Stream",
    caption: "An app that gives its answer word by word",
    name: "Teller",
    cell: `%%fal_app
import json
import time

from fastapi.responses import StreamingResponse


class Teller(fal.App):
    @fal.endpoint("/stream")
    def tell(self, prompt: str = "Once upon a time there was a notebook") -> StreamingResponse:
        """Say the prompt again, a word at a time, as a language model gives its tokens."""

        def events():
            for word in prompt.split():
                yield f"data: {json.dumps({'text': word + ' '})}\\n\\n"
                time.sleep(0.2)

        return StreamingResponse(events(), media_type="text/event-stream")
`,
    call: 'for piece in Teller.stream.tell(prompt="every word as it comes"):\n    print(piece)',
  },
};

/** The cell that a notebook without apps is offered. */
export const APP_CELL = TEMPLATES.text.cell;

/**
 * A template's cells for an app whose name no other one has: a second `hello` would take the first one's place.
 * @param {string} kind
 * @param {Iterable<string>} aliases of the apps that are known
 * @returns {{alias: string, cells: string[]}}
 */
export function cellsOf(kind, aliases) {
  const { name, cell, call } = TEMPLATES[kind] ?? TEMPLATES.text;
  const taken = new Set(aliases);
  const plain = name.toLowerCase();
  let alias = plain;
  for (let number = 2; taken.has(alias); number += 1) alias = `${plain}-${number}`;
  const begin = `class ${name}(fal.App):\n`;
  const named = alias === plain ? cell : cell.replace(begin, `${begin}    app_name = "${alias}"\n\n`);
  return { alias, cells: [named.trimEnd(), call] };
}
