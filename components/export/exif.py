"""The turn that a picture file's EXIF asks for, read and applied inside the graph."""

import tensorflow as tf

# EXIF comes before the pixels, behind at most some profiles of up to 64 KiB.
_HEAD_BYTES = 256 * 1024
_MAX_TAGS = 128
_ORIENTATION = 0x0112
# What a JPEG's segment or a PNG's chunk begins with, and the TIFF structure within, which begins
# with its order of bytes. "\C" is any byte.
_BIG = r"(Exif\x00\x00|eXIf)MM\x00\*"
_LITTLE = r"(Exif\x00\x00|eXIf)II\*\x00"


def turn_upright(picture: tf.Tensor, data: tf.Tensor) -> tf.Tensor:
    """Turn a picture as its file's EXIF says; EXIF that is damaged turns nothing.

    Args:
        picture: The picture, [s, s, c].
        data: The bytes of its JPEG or PNG file, a string scalar.

    Returns:
        The picture, [s, s, c].
    """
    head = tf.strings.substr(data, 0, _HEAD_BYTES)
    # Most faces have none, and this search is all that they take.
    is_there = tf.strings.regex_full_match(head, rf"\C*({_BIG}|{_LITTLE})\C*")
    return tf.cond(is_there, lambda: _turn(picture, _orientation(head)), lambda: picture)


def _turn(picture: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    def turn_if(orientations: tuple[int, ...], turned: tf.Tensor, unturned: tf.Tensor) -> tf.Tensor:
        return tf.where(tf.reduce_any(orientation == tf.constant(orientations)), turned, unturned)

    picture = turn_if((5, 6, 7, 8), tf.transpose(picture, [1, 0, 2]), picture)
    picture = turn_if((2, 3, 6, 7), tf.reverse(picture, [1]), picture)
    return turn_if((3, 4, 7, 8), tf.reverse(picture, [0]), picture)


def _orientation(head: tf.Tensor) -> tf.Tensor:
    """Read the orientation: 2 to 8 turn (Exif 2.3, 4.6.4), anything else turns nothing."""
    is_big = tf.strings.regex_full_match(head, rf"\C*{_BIG}\C*")
    # The rest of the TIFF structure: bytes 0 to 4 are gone.
    tiff = tf.strings.regex_replace(head, rf"^\C*?({_BIG}|{_LITTLE})", "", replace_global=False)
    start = _numbers(tiff, 0, 4, tf.int32, is_big)[0] - 4
    # The number of tags, then each as six words: tag, type, count (two) and value (two).
    words = _numbers(tiff, start, 2 + 12 * _MAX_TAGS, tf.uint16, is_big)
    is_one = (words[1::6] == _ORIENTATION) & (tf.range(_MAX_TAGS) < words[0])
    return tf.reduce_max(tf.where(is_one, words[5::6], 0))


def _numbers(
    data: tf.Tensor, position: tf.Tensor | int, count: int, kind: tf.DType, is_big: tf.Tensor
) -> tf.Tensor:
    """Read `count` bytes as numbers in either order of bytes, int32; those after the end are 0."""
    there = tf.clip_by_value(position, 0, tf.strings.length(data))
    part = tf.strings.substr(data, there, count)
    big, little = (
        tf.cast(tf.io.decode_raw(part, kind, is_little, fixed_length=count), tf.int32)
        for is_little in (False, True)
    )
    return tf.where(is_big, big, little)
