"""Random changes to a batch of images, as pure functions of a seed.

To add one, write a function like those below, add a line to `AUGMENTATIONS` at
the end, and give `Config` a field for each of its settings.
"""

from collections.abc import Callable

import tensorflow as tf


def random_affine(
    images: tf.Tensor,
    seed: tf.Tensor,
    *,
    rotation: tf.Tensor | float = 0.0,
    scale: tf.Tensor | float = 0.0,
    shear: tf.Tensor | float = 0.0,
    shift: tf.Tensor | float = 0.0,
    batch_size: int | None = None,
    part: slice = slice(None),
) -> tf.Tensor:
    """Rotates, scales, shears and shifts each image by a draw of its own.

    The five changes are one affine map about the image's centre, applied to
    the whole batch in one bilinear resampling; pixels from outside are 0.

    Args:
        images: float32 tensor of shape `(batch, height, width, channels)`.
        seed: Integer tensor of shape `(2,)`. Equal seeds give equal warps.
        rotation: Largest angle, in radians, either way.
        scale: Largest relative change of width and, drawn apart, of height.
        shear: Largest horizontal shear, as a tangent, either way.
        shift: Largest shift along each axis, in pixels, either way.
        batch_size: Number of images to draw for: more than `images` where they
            are a part of a batch alone.
        part: Which part of it they are.

    Returns:
        A tensor of the shape and dtype of `images`.
    """
    batch, height, width = tf.unstack(tf.shape(images)[:3])
    shape = (6, batch_size or batch)
    draws = tf.random.stateless_uniform(shape, seed, -1.0, 1.0)
    angle = rotation * draws[0]
    x_scale, y_scale = 1.0 + scale * draws[1], 1.0 + scale * draws[2]
    tangent = shear * draws[3]
    x_shift, y_shift = shift * draws[4], shift * draws[5]

    # Where each output pixel is read, about the centre:
    # rotation @ [[1, tangent], [0, 1]] @ diag(x_scale, y_scale).
    cosine, sine = tf.cos(angle), tf.sin(angle)
    xx = cosine * x_scale
    xy = (cosine * tangent - sine) * y_scale
    yx = sine * x_scale
    yy = (sine * tangent + cosine) * y_scale
    x_centre = tf.cast(width - 1, tf.float32) / 2
    y_centre = tf.cast(height - 1, tf.float32) / 2
    x_offset = x_centre + x_shift - xx * x_centre - xy * y_centre
    y_offset = y_centre + y_shift - yx * x_centre - yy * y_centre
    zero = tf.zeros_like(xx)
    transforms = tf.stack(
        [xx, xy, x_offset, yx, yy, y_offset, zero, zero], axis=1
    )[part]  # (batch, 8); not before, where rounding depends on the place
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=tf.stack([height, width]),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def random_elastic(
    images: tf.Tensor,
    seed: tf.Tensor,
    *,
    elastic: tf.Tensor | float,
    batch_size: int | None = None,
    part: slice = slice(None),
) -> tf.Tensor:
    """Bends each image by a smooth field of displacements of its own.

    A grid of 5x5 points is shifted by normal draws; between them the field is
    bicubic. Each pixel is then read, bilinearly, where the field points to,
    at the border of the image where that lies outside. Elastic distortions
    are those of Simard et al. (2003), who smooth a field of full size instead.

    Args:
        images: float32 tensor of shape `(batch, height, width, channels)`.
        seed: Integer tensor of shape `(2,)`. Equal seeds give equal fields.
        elastic: Standard deviation of the points' shifts along each axis, in
            pixels.
        batch_size: As in `random_affine`.
        part: As in `random_affine`.

    Returns:
        A tensor of the shape and dtype of `images`.
    """
    batch, height, width, channels = tf.unstack(tf.shape(images))
    shape = (batch_size or batch, 5, 5, 2)
    field = elastic * tf.random.stateless_normal(shape, seed)[part]
    field = tf.image.resize(field, (height, width), method="bicubic")
    rows, columns = tf.meshgrid(
        tf.range(tf.cast(height, tf.float32)),
        tf.range(tf.cast(width, tf.float32)),
        indexing="ij",
    )
    y = tf.clip_by_value(rows + field[..., 0], 0.0, tf.reduce_max(rows))
    x = tf.clip_by_value(columns + field[..., 1], 0.0, tf.reduce_max(columns))
    top = tf.minimum(tf.cast(y, tf.int32), height - 2)
    left = tf.minimum(tf.cast(x, tf.int32), width - 2)
    down = (y - tf.cast(top, tf.float32))[..., tf.newaxis]
    right = (x - tf.cast(left, tf.float32))[..., tf.newaxis]

    pixels = tf.reshape(images, (batch, height * width, channels))
    corner = top * width + left  # (batch, height, width)
    top_left = tf.gather(pixels, corner, batch_dims=1)
    top_right = tf.gather(pixels, corner + 1, batch_dims=1)
    bottom_left = tf.gather(pixels, corner + width, batch_dims=1)
    bottom_right = tf.gather(pixels, corner + width + 1, batch_dims=1)
    upper = top_left * (1 - right) + top_right * right
    lower = bottom_left * (1 - right) + bottom_right * right
    return upper * (1 - down) + lower * down


# In the order in which they are applied: the number of the stream of random
# draws, which no other stream may have (`pipeline` has 0, 2 and 3), the
# function, and the settings that it takes from the config, by name. All
# settings fade to 0; where all are 0, the function is not called.
AUGMENTATIONS: dict[int, tuple[Callable[..., tf.Tensor], tuple[str, ...]]] = {
    1: (random_affine, ("rotation", "scale", "shear", "shift")),
    4: (random_elastic, ("elastic",)),
}
