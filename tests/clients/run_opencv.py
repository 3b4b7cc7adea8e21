"""Answers by OpenCV's own runtime: `python ... MODEL IN.npz OUT.npz`."""

import sys
import time

import cv2
import numpy as np

model, given, out = sys.argv[1:]
names = ("digit", "sum", "difference")
net = cv2.dnn.readNetFromONNX(model)
answers, times = [], []
with np.load(given) as arrays:
    for image, number in zip(arrays["image"], arrays["number"], strict=True):
        start = time.perf_counter()
        net.setInput(image[None], "image")
        net.setInput(number[None], "number")
        answers.append([answer[0] for answer in net.forward(names)])
        times.append(1000 * (time.perf_counter() - start))
print(*times)
parts = map(np.array, zip(*answers, strict=True))
np.savez(out, **dict(zip(names, parts, strict=True)))
