# To train: on a CPU, or on NVIDIA GPUs with `--build-arg REQUIREMENTS=requirements-gpu.txt`.
#     docker build -t keras-mnist-sum .
#     docker run --rm -v "$PWD/runs:/work/runs" keras-mnist-sum train --data sample
FROM python:3.12.12-slim-bookworm
ARG REQUIREMENTS=requirements.txt
WORKDIR /app
COPY requirements*.txt ./
RUN pip install --no-cache-dir -r "$REQUIREMENTS"
COPY pyproject.toml README.md LICENSE ./
COPY keras_mnist_sum keras_mnist_sum
RUN pip install --no-cache-dir --no-deps . \
    && useradd --create-home --uid 1000 user \
    && install --directory --owner user /work /work/runs /data
USER 1000
WORKDIR /work
# MNIST is downloaded there: mount a volume to do so once.
ENV TFDS_DATA_DIR=/data
VOLUME /data
ENTRYPOINT ["keras-mnist-sum"]
CMD ["train"]
