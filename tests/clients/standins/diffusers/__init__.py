"""Stands in for diffusers: a pipeline that draws its prompt's length as colour, since weights cannot be had."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

from PIL import Image


class DiffusionPipeline:
    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.name, self.options, self.device = name, options, "cpu"

    @classmethod
    def from_pretrained(cls, name: str, **options: Any) -> DiffusionPipeline:
        import torch

        assert options == {"torch_dtype": torch.float16, "variant": "fp16", "use_safetensors": True}
        return cls(name, options)

    def to(self, device: str) -> None:
        assert os.environ["CUDA_VISIBLE_DEVICES"]
        self.device = device

    def __call__(self, *, prompt: str, negative_prompt: str, num_inference_steps: int, width: int, height: int) -> Any:
        assert self.device == "cuda"
        colour = (len(prompt) % 256, len(negative_prompt) % 256, num_inference_steps % 256)
        return SimpleNamespace(images=[Image.new("RGB", (width, height), colour)])
