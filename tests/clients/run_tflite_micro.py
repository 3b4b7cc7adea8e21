"""Answers by LiteRT for Microcontrollers: `python ... MODEL IN.npz OUT.npz`.

Prints the milliseconds of each pair, as all programs here do.
"""

import sys
import time

import numpy as np
from tflite_micro.python.tflite_micro import runtime

model, given, out = sys.argv[1:]
arena = 256 * 1024 if "uint8" in model else 1024 * 1024
interpreter = runtime.Interpreter.from_file(model, arena_size=arena)
answers, times = [], []
with np.load(given) as arrays:
    for image, number in zip(arrays["image"], arrays["number"], strict=True):
        start = time.perf_counter()
        interpreter.set_input(image[None], 0)
        interpreter.set_input(number[None], 1)
        interpreter.invoke()
        answers.append([interpreter.get_output(i)[0] for i in range(3)])
        times.append(1000 * (time.perf_counter() - start))
print(*times)
digit, sums, difference = map(np.array, zip(*answers, strict=True))
np.savez(out, digit=digit, sum=sums, difference=difference)
