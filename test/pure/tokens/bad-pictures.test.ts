/** Picture files that are broken, lie, or are none, and what is said of those that are taken. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, deflateSync } from 'node:zlib';
import { PNG } from 'pngjs';
import { expect, it } from 'vitest';
import { SinkscopeError } from '../../../src/errors.js';
import { imageToPixels } from '../../../src/tokens/image.js';
import { readPicture } from '../../../src/tokens/picture.js';
import { readPreprocessing } from '../../../src/tokens/preprocessing.js';
import { folder as newFolder, write } from './support.js';

const folder = fileURLToPath(new URL('../../references/images/', import.meta.url));
const png = readFileSync(join(folder, 'rgb.png'));
const jpeg = readFileSync(join(folder, '420.jpg'));
const claiming = (pixels: number) => {
  const bytes = Buffer.from(png);
  bytes.writeUInt32BE(pixels, 16);
  bytes.writeUInt32BE(pixels, 20);
  return bytes;
};

/** By its frame header, which is what tells it. */
const inCmyk = () => {
  const bytes = Buffer.from(jpeg);
  bytes.writeUInt8(4, bytes.indexOf(Buffer.of(0xff, 0xc0)) + 9);
  return bytes;
};

const chunk = (type: string, data: Buffer) => {
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
};
const header = (width: number, height: number, interlaced: boolean) => {
  const data = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, interlaced ? 1 : 0]);
  data.writeUInt32BE(width, 0);
  data.writeUInt32BE(height, 4);
  return chunk('IHDR', data);
};
/** A PNG of 4 × 4 RGB pixels by its headers, and of `bytes` zeros by its data. */
const unfolding = (bytes: number, headers: readonly Buffer[]) =>
  Buffer.concat([
    png.subarray(0, 8),
    ...headers,
    chunk('IDAT', deflateSync(Buffer.alloc(bytes))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
const small = (interlaced: boolean) => header(4, 4, interlaced);

it('what is taken: small pictures, plain and interlaced', async () => {
  expect(await readPicture(write(unfolding(4 * 13, [small(false)])))).toMatchObject({ width: 4, height: 4 });
  // Five passes have pixels: two of one, one row of two, two rows of two, two rows of four.
  expect(await readPicture(write(unfolding(4 + 4 + 7 + 14 + 26, [small(true)])))).toMatchObject({ width: 4 });
});

it.each([
  ['a PNG whose data unfold to more than its picture', unfolding(2 ** 20, [small(false)]), /is a broken picture/],
  ['an interlaced one', unfolding(2 ** 20, [small(true)]), /is a broken picture/],
  ['a PNG with a second header', unfolding(4 * 13, [small(false), header(9000, 9000, false)]), /is a broken picture/],
  [
    'a PNG of one long column',
    unfolding(8, [header(1, 90_000_000, false)]),
    /is 1 × 90000000 pixels, and at most 65535/,
  ],
  ['empty', Buffer.alloc(0), /is no picture that is read .*; save/],
  ['text', Buffer.from('hello, this is no picture at all'), /is no picture that is read/],
  ['a PNG cut off', png.subarray(0, 2000), /is a broken picture/],
  ['a PNG of nothing but its head', png.subarray(0, 33), /is a broken picture/],
  ['a PNG that claims too much', claiming(60_000), /has 60000 × 60000 pixels, more than the 50 million/],
  ['a JPEG without its frame', jpeg.subarray(0, 100), /is no picture that is read/],
  ['a JPEG of nothing but its head', jpeg.subarray(0, 620), /is a broken picture/],
  ['a PNG with zero width', claiming(0), /is a broken picture/],
  ['a JPEG that says it is in CMYK', inCmyk(), /is a broken picture/],
])('%s', async (_, bytes, message) => {
  const file = write(bytes);
  const error = await readPicture(file).catch((thrown) => thrown);
  expect(SinkscopeError.is(error, 'input')).toBe(true);
  expect(error.message).toMatch(message);
  expect(error.file).toBe(file);
});

it.each([
  ['rgb.avif', /rgb\.avif is an AVIF or HEIC picture, which is not read; save it as PNG or WebP/],
  ['deep.tif', /is a TIFF of 16 bits per sample, which is not read; save it as PNG/],
  ['palette.tif', /is a TIFF whose colours are a palette/],
  ['cmyk.tif', /is a TIFF whose colours are separated/],
  ['multiplied.tif', /colours are multiplied by its transparency/],
  ['corner.gif', /has a first frame that does not fill it/],
  ['high-colour.bmp', /is a BMP of 16 bits per pixel/],
])('what would not be Pillow’s pixels is refused by name: %s', async (name, message) => {
  await expect(readPicture(join(folder, 'refused', name))).rejects.toThrow(message);
});

it.each(['lossless.webp', 'interlaced.gif', 'rgba.bmp', 'jpeg.tif'])('%s cut off is broken', async (name) => {
  const bytes = readFileSync(join(folder, name));
  for (const length of [16, 60, Math.floor(bytes.length / 2)])
    await expect(readPicture(write(bytes.subarray(0, length)))).rejects.toThrow(/is a broken picture/);
});

it('heads of other formats that claim too much', async () => {
  const bmp = readFileSync(join(folder, 'bits.bmp'));
  bmp.writeUInt32LE(60_000, 18);
  bmp.writeUInt32LE(60_000, 22);
  await expect(readPicture(write(bmp))).rejects.toThrow(/has 60000 × 60000 pixels|is a broken picture/);
  const webp = readFileSync(join(folder, 'animated.webp'));
  webp.writeUIntLE(16_000, 24, 3);
  webp.writeUIntLE(16_000, 27, 3);
  await expect(readPicture(write(webp))).rejects.toThrow(/has 16001 × 16001 pixels|is a broken picture/);
});

it('colours that are not what people may expect are said', async () => {
  const remarkOf = async (name: string) => (await readPicture(join(folder, name))).remark;
  expect(await remarkOf('deep-gray.png')).toMatch(/cut off at 255/);
  expect(await remarkOf('ycck.jpg')).toMatch(/without its colour profile/);
  expect(await remarkOf('deep.png')).toBeUndefined();
  for (const several of ['animated.gif', 'animated.webp', 'pages.tif'])
    expect(await remarkOf(several)).toBe('the first of its frames or pages, and no other');
  expect(await remarkOf('interlaced.gif')).toBeUndefined();
});

it('a JPEG whose data are damaged is read, as Pillow does, and said to be damaged', async () => {
  const damaged = Buffer.from(jpeg);
  damaged.fill(0x55, damaged.length - 400, damaged.length - 300);
  const { width, remark } = await readPicture(write(damaged));
  expect(width).toBe(83);
  expect(remark).toMatch(/^read though it is damaged \(Corrupt JPEG data: .*\): other programs may see other pixels$/);
});

it('a missing file and a folder', async () => {
  await expect(readPicture(join(newFolder({}), 'missing'))).rejects.toThrow(/missing cannot be read/);
  await expect(readPicture(newFolder({}))).rejects.toThrow(/is no picture file/);
});

it('a thread of a picture that resizing would make huge', async () => {
  const thread = new PNG({ width: 20_000, height: 1 });
  const file = write(PNG.sync.write(thread));
  const preprocessing = readPreprocessing(write({ size: { shortest_edge: 224 } })).preprocessing;
  await expect(imageToPixels(file, preprocessing)).rejects.toThrow(
    /would become 4480000 × 224 pixels.*less extreme shape/,
  );
});

it('after a broken JPEG the next one is read', async () => {
  await readPicture(write(jpeg.subarray(0, 620))).catch(() => undefined);
  expect((await readPicture(join(folder, '420.jpg'))).width).toBe(83);
});
