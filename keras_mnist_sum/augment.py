"""Random warps of a batch of images, as a pure function of a seed."""

import tensorflow as tf


def random_affine(
    images: tf.Tensor,
    seed: tf.Tensor,
    *,
    rotation: float = 0.0,
    scale: float = 0.0,
    shear: float = 0.0,
    shift: float = 0.0,
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

    Returns:
        A tensor of the shape and dtype of `images`.
    """
    batch, height, width = tf.unstack(tf.shape(images)[:3])
    draws = tf.random.stateless_uniform((6, batch), seed, -1.0, 1.0)
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
    )  # (batch, 8)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=tf.stack([height, width]),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
