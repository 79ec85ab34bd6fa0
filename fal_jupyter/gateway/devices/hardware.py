"""Detects the machine's hardware: usable cores, memory, and GPUs by NVML."""

from __future__ import annotations

import logging
import os

import psutil

from fal_jupyter.domain.resources.machines import Device, Hardware, parse_fake_gpus
from fal_jupyter.settings import Settings

log = logging.getLogger("fal_jupyter.hardware")


def read(settings: Settings) -> Hardware:
    """Detect the hardware; ``FAL_JUPYTER_FAKE_GPUS`` replaces the GPUs.

    Raises:
        BadSetting: that variable is invalid.
    """
    devices = parse_fake_gpus(settings.fake_gpus) if settings.fake_gpus else _nvidia()
    return Hardware(len(os.sched_getaffinity(0)), psutil.virtual_memory().total, devices)


def _nvidia() -> tuple[Device, ...]:
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception as error:  # no driver, no library, no device: a machine without GPUs
        log.info("no GPUs: %s", error)
        return ()
    try:
        devices = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            name, uuid = pynvml.nvmlDeviceGetName(handle), pynvml.nvmlDeviceGetUUID(handle)
            devices.append(Device(index, uuid, name, pynvml.nvmlDeviceGetMemoryInfo(handle).total))
        return tuple(devices)
    except pynvml.NVMLError as error:
        log.warning("the GPUs could not be read: %s", error)
        return ()
    finally:
        pynvml.nvmlShutdown()
