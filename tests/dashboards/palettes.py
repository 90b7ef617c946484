"""Makes a screenshot small: a flat page has few colours, and a PNG with a palette of 256 is a quarter of the size."""

import base64
import struct
import zlib

from playwright.sync_api import Page

# Chromium decodes its own picture. The most frequent colours stay as they are; then those that are farthest from all of
# them, so that a single red word keeps its colour; every other one becomes the nearest.
CHOOSE_COLORS = """async (url) => {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const bytes = context.getImageData(0, 0, image.width, image.height).data;
    const pixels = new Uint32Array(image.width * image.height);
    const counts = new Map();
    for (let i = 0; i < pixels.length; i++) {
        pixels[i] = bytes[4 * i] << 16 | bytes[4 * i + 1] << 8 | bytes[4 * i + 2];
        counts.set(pixels[i], (counts.get(pixels[i]) ?? 0) + 1);
    }
    const part = (color, shift) => color >> shift & 255;
    const distance = (a, b) => [16, 8, 0].reduce((sum, shift) => sum + (part(a, shift) - part(b, shift)) ** 2, 0);
    const colors = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a));
    const palette = colors.slice(0, 128);
    const gaps = new Map(colors.map((color) => [color, Math.min(...palette.map((known) => distance(color, known)))]));
    while (palette.length < Math.min(256, colors.length)) {
        const farthest = colors.reduce((best, color) => gaps.get(color) > gaps.get(best) ? color : best);
        palette.push(farthest);
        for (const color of colors) gaps.set(color, Math.min(gaps.get(color), distance(color, farthest)));
    }
    const nearest = new Map([...counts.keys()].map((color) => {
        let best = 0;
        for (let i = 1; i < palette.length; i++) {
            if (distance(color, palette[i]) < distance(color, palette[best])) best = i;
        }
        return [color, best];
    }));
    let indices = "";
    for (let i = 0; i < pixels.length; i++) indices += String.fromCharCode(nearest.get(pixels[i]));
    return {width: image.width, height: image.height, palette, indices: btoa(indices)};
}"""


def shrink_png(page: Page, png: bytes) -> bytes:
    """The picture with a palette. page: any blank one, in which the browser decodes it."""
    found = page.evaluate(CHOOSE_COLORS, f"data:image/png;base64,{base64.b64encode(png).decode()}")
    width, height = found["width"], found["height"]
    indices = base64.b64decode(found["indices"])
    rows = b"".join(b"\0" + indices[start : start + width] for start in range(0, width * height, width))
    palette = b"".join(color.to_bytes(3, "big") for color in found["palette"])
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits a pixel, by palette
    chunks = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_make_chunk(name, data) for name, data in chunks)


def _make_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
