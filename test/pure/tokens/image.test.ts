import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PNG } from 'pngjs';
import { describe, expect, it } from 'vitest';
import { SinkscopeError } from '../../../src/errors.js';
import { imageToPixels, patchRectangles } from '../../../src/tokens/image.js';
import { readPicture } from '../../../src/tokens/picture.js';
import { preprocessingOf, readPreprocessing } from '../../../src/tokens/preprocessing.js';
import { resize } from '../../../src/tokens/resample.js';
import { pictureToShow } from '../../../src/tokens/shown.js';
import { preprocessingInWords } from '../../../src/tokens/steps.js';
import { orientationOf } from '../../../src/tokens/upright.js';
import { write } from './support.js';

/** What Pillow and transformers' image processors make of the pictures in `images/`; written by `tools/references`. */
interface References {
  decoded: Record<string, { width: number; height: number; sha256: string }>;
  resized: { resample: number; width: number; height: number; sha256: string }[];
  processed: { name: string; file: string; config: object; shape: number[]; pixels: string }[];
}
const folder = fileURLToPath(new URL('../../references/images/', import.meta.url));
const references: References = JSON.parse(readFileSync(join(folder, '../images.json'), 'utf8'));
/** What transformers' classes make of them, given as little as they take. */
const leastReferences: References['processed'] = JSON.parse(readFileSync(join(folder, '../processors.json'), 'utf8'));
/** What timm's own transform makes of them. */
const timmReferences: References['processed'] = JSON.parse(readFileSync(join(folder, '../timm.json'), 'utf8'));
const floatsOf = (base64: string) => {
  const bytes = Buffer.from(base64, 'base64');
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe('pictures are decoded to Pillow’s bytes', () => {
  it.each(Object.entries(references.decoded))('%s', async (name, reference) => {
    const { width, height, rgb } = await readPicture(join(folder, name));
    expect({ width, height, sha256: sha256(rgb) }).toEqual(reference);
  });
});

describe('resizing gives Pillow’s bytes', async () => {
  const picture = await readPicture(join(folder, 'rgb.png'));
  it.each(references.resized)(
    'filter $resample to $width × $height',
    ({ resample, width, height, sha256: expected }) => {
      const resized = resize(picture, width, height, resample);
      expect([resized.width, resized.height, sha256(resized.rgb)]).toEqual([width, height, expected]);
    },
  );
});

describe('pixels are those of transformers’ image processors', () => {
  it.each(references.processed)('$name, $file', async ({ file, config, shape, pixels }) => {
    const bytes = Buffer.from(pixels, 'base64');
    const expected = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    const result = await imageToPixels(join(folder, file), readPreprocessing(write(config)).preprocessing);
    expect(result.shape).toEqual(shape);
    const off = expected.reduce(
      (most, value, at) => Math.max(most, Math.abs(value - (result.pixels[at] ?? Infinity))),
      0,
    );
    expect(off).toBeLessThan(1e-6);
  });
});

describe('what a file leaves out is what its class fills in', () => {
  // Two classes have no form on Pillow: torchvision's resizing is off by a level of 255 at most, here of two once.
  const levels: Record<string, number> = { DINOv3ViT: 2, Sam2: 2, Sam3: 2 };
  it.each(leastReferences)('$name, $file', async ({ name, file, config, shape, pixels }) => {
    const { preprocessing, guess } = readPreprocessing(write(config));
    expect(guess).toBeUndefined();
    const result = await imageToPixels(join(folder, file), preprocessing);
    expect(result.shape).toEqual(shape);
    const std = Math.min(...(preprocessing.normalize?.std ?? [1]));
    const off = floatsOf(pixels).map((value, at) => Math.abs(value - (result.pixels[at] ?? Infinity)));
    expect(Math.max(...off)).toBeLessThan((levels[name] ?? 0) / 255 / std + 2e-6);
  });
});

describe('preprocessor_config.json', () => {
  const read = (config: object) => readPreprocessing(write(config)).preprocessing;

  it('a bare size is a square, or with a crop the shorter edge', () => {
    expect(read({ size: 224 }).resize?.size).toEqual({ height: 224, width: 224 });
    const clip = read({ size: 224, do_center_crop: true, crop_size: 200 });
    expect(clip.resize?.size).toEqual({ shortestEdge: 224, longestEdge: undefined });
    expect(clip.centerCrop).toEqual({ height: 200, width: 200 });
  });

  it('of what changes no pixel nothing is asked', () => {
    const plain = { size: 24, do_rescale: true };
    const more = { do_pad: false, do_thumbnail: null, do_convert_rgb: true, num_labels: 7, image_seq_length: 256 };
    expect(read({ ...plain, ...more })).toEqual(read(plain));
    const detr = { size: { shortest_edge: 24, longest_edge: 40 }, do_pad: true, format: 'coco_detection' };
    expect(read({ ...detr, image_processor_type: 'DetrImageProcessor' }).resize?.size).toEqual({
      shortestEdge: 24,
      longestEdge: 40,
    });
  });

  it('a large ConvNeXT is given a square at once', () => {
    const config = { size: { shortest_edge: 384 }, crop_pct: 0.875, image_processor_type: 'ConvNextImageProcessor' };
    expect(read(config)).toMatchObject({ resize: { size: { height: 384, width: 384 } }, centerCrop: undefined });
  });

  it('a class that is not known, or none, is a guess; the type of the model may tell it', () => {
    const guessOf = (config: object, ofModel?: string) => readPreprocessing(write(config), ofModel).guess;
    expect(guessOf({ size: 24 })).toBe('no image processor is named');
    expect(guessOf({ size: 24, image_processor_type: 'MyOwnImageProcessor' })).toMatch(
      /"MyOwnImageProcessor" is not known/,
    );
    expect(guessOf({ size: 24, image_processor_type: 'constructor' })).toMatch(/is not known/);
    expect(guessOf({ size: 24, feature_extractor_type: 'DeiTFeatureExtractor' })).toBeUndefined();
    expect(guessOf({ size: 24, image_processor_type: 'CLIPImageProcessorFast' })).toBeUndefined();
    expect(guessOf({ size: 24 }, 'Bit')).toBeUndefined();
    expect(readPreprocessing(write({ size: 24 }), 'Bit').preprocessing).toMatchObject({
      resize: { size: { shortestEdge: 24 }, resample: 3 },
      centerCrop: { height: 224, width: 224 },
    });
    const preprocessorConfig = write({ size: 24, do_normalize: true });
    const config = write({ model_type: 'swinv2' });
    expect(preprocessingOf({ preprocessorConfig, config })?.guess).toBeUndefined();
    expect(preprocessingOf({ preprocessorConfig })?.guess).toMatch(/no image processor/);
  });

  it('what is switched off is left out', () => {
    const config = {
      do_resize: false,
      do_rescale: false,
      do_normalize: false,
      do_center_crop: false,
      size: 9,
      crop_size: 9,
    };
    expect(read(config)).toEqual({
      resize: undefined,
      centerCrop: undefined,
      rescale: undefined,
      normalize: undefined,
      bgr: false,
    });
  });

  it.each([
    [{ size: { max_height: 5, max_width: 5 } }, /size/],
    [{ size: 0 }, /size/],
    [{ size: 1e9 }, /size/],
    [{ resample: 'bicubic' }, /resample/],
    [{ image_std: [0, 1, 1] }, /image_std: must be above zero/],
    [{ image_mean: [1, 2] }, /image_mean: its form is not known/],
    [{ size: { longest_edge: 24 } }, /size: only SAM/],
    [{ size_divisor: 32 }, /size_divisor/],
    [{ image_processor_type: 'VideoMAEImageProcessor' }, /"VideoMAEImageProcessor" prepares pictures in its own way/],
    [{ image_processor_type: 'Qwen2VLImageProcessorFast', size: { min_pixels: 3136 } }, /Qwen2VL/],
    [[], /./],
    [{ do_pad: true }, /do_pad/],
    [{ do_thumbnail: true }, /do_thumbnail/],
    [{ rescale_offset: true }, /rescale_offset/],
    [{ do_align_long_axis: true }, /do_align_long_axis/],
    [{ size: 224, crop_pct: 0.9, image_processor_type: 'PoolFormerImageProcessor' }, /PoolFormer/],
    [{ size: 224, crop_pct: 0.9 }, /crop_pct/],
    [{ do_flip_channel_order: true, do_normalize: true }, /do_flip_channel_order/],
    [{ max_pixels: 12_845_056 }, /max_pixels/],
  ])('%j is refused', (config, where) => {
    expect(() => read(config)).toThrow(SinkscopeError);
    expect(() => read(config)).toThrow(where);
  });
});

describe('the files beside a model', () => {
  const clip = {
    size: { shortest_edge: 36 },
    do_center_crop: true,
    crop_size: 32,
    image_processor_type: 'CLIPImageProcessor',
  };
  const timm = {
    input_size: [3, 32, 32],
    crop_pct: 0.9,
    interpolation: 'bicubic',
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
  };

  it('are asked in their order', () => {
    const preprocessorConfig = write(clip);
    const processorConfig = write({ processor_class: 'CLIPProcessor', image_processor: clip });
    const config = write({ model_type: 'timm', pretrained_cfg: timm });
    const all = { preprocessorConfig, processorConfig, config };
    expect(preprocessingOf(all)?.file).toBe(processorConfig);
    const second = preprocessingOf({ preprocessorConfig, processorConfig: write({}), config });
    expect(second).toEqual(readPreprocessing(preprocessorConfig));
    expect(preprocessingOf({ processorConfig })?.preprocessing).toEqual(second?.preprocessing);
    expect(preprocessingOf({ config })?.file).toBe(config);
    expect(preprocessingOf({ config: write({ model_type: 'vit' }), processorConfig: write({}) })).toBeUndefined();
  });

  it('timm’s may be in transformers’ wrapper', () => {
    const preprocessorConfig = write({ image_processor_type: 'TimmWrapperImageProcessor', pretrained_cfg: timm });
    const config = write({ pretrained_cfg: timm });
    expect(preprocessingOf({ preprocessorConfig })?.preprocessing).toEqual(preprocessingOf({ config })?.preprocessing);
  });

  it('timm’s has its own steps', () => {
    const read = (pretrained_cfg: object) => preprocessingOf({ config: write({ pretrained_cfg }) })?.preprocessing;
    expect(read(timm)).toMatchObject({
      resize: { size: { shortestEdge: 35, longestEdge: undefined }, resample: 3 },
      centerCrop: { height: 32, width: 32, rounds: true },
    });
    expect(read({ ...timm, crop_mode: 'squash', crop_pct: 1 })?.resize?.size).toEqual({ height: 32, width: 32 });
    expect(() => read({ ...timm, crop_mode: 'border' })).toThrow(/pretrained_cfg\.crop_mode/);
    expect(() => read({ ...timm, input_size: [3, 32, 64] })).toThrow(/only squares/);
    expect(() => read({ ...timm, input_size: [1, 32, 32] })).toThrow(/input_size/);
  });

  it.each(timmReferences)('timm’s gives timm’s pixels: $name, $file', async ({ file, config, shape, pixels }) => {
    const found = preprocessingOf({ config: write({ pretrained_cfg: config }) });
    const result = found && (await imageToPixels(join(folder, file), found.preprocessing));
    expect(result?.shape).toEqual(shape);
    const expected = floatsOf(pixels);
    const off = expected.reduce(
      (most, value, at) => Math.max(most, Math.abs(value - (result?.pixels[at] ?? Infinity))),
      0,
    );
    // A level of a byte is 1 / 255 or more; the division by 255 and by 0.225 is rounded to 32 bits in another order.
    expect(off).toBeLessThan(2e-6);
  });

  it('torchvision rounds where the crop begins to the even one', async () => {
    // 83 × 61 by the shorter edge to 35 is 47 × 35; of 15 columns beside the crop 8 are before it, of 3 rows 2.
    const { crop } = await imageToPixels(join(folder, 'rgb.png'), timmOf());
    expect([Math.round((crop.x * 47) / 83), Math.round((crop.y * 35) / 61)]).toEqual([8, 2]);
    function timmOf() {
      const found = preprocessingOf({ config: write({ pretrained_cfg: timm }) });
      if (!found) throw new Error('nothing was found');
      return found.preprocessing;
    }
  });

  it('are told in words', () => {
    expect(preprocessingInWords(readPreprocessing(write(clip)).preprocessing)).toEqual([
      'shorter edge resized to 36 (bicubic)',
      'middle 32 × 32 cut out',
      'bytes × 0.00392157',
      'minus 0.48145466, 0.4578275, 0.40821073, divided by 0.26862954, 0.26130258, 0.27577711',
    ]);
  });
});

describe('pictures for eyes', () => {
  const others = ['lossy.webp', 'animated.gif', 'rgba.bmp', 'pages.tif'];
  const lying = ['turned-6.png', 'turned-5-profile.png', 'turned-8-xmp.png', 'turned-4-xmp.webp', 'turned-8-fax.tif'];
  it.each([...others, ...lying])('%s is shown as what was analyzed', async (name) => {
    const shown = await pictureToShow(readFileSync(join(folder, name)));
    expect(PNG.sync.read(Buffer.from(shown))).toMatchObject({ width: references.decoded[name]?.width });
    expect(sha256((await readPicture(write(shown))).rgb)).toBe(references.decoded[name]?.sha256);
  });

  it('a JPEG that XMP turns is shown with the EXIF that viewers follow', async () => {
    const shown = Buffer.from(await pictureToShow(readFileSync(join(folder, 'turned-7-xmp.jpg'))));
    expect(orientationOf(shown, 'jpeg')).toEqual({ number: 7, from: 'exif' });
    expect(sha256((await readPicture(write(shown))).rgb)).toBe(references.decoded['turned-7-xmp.jpg']?.sha256);
  });

  it('PNG and JPEG as they are', async () => {
    for (const name of ['gray-alpha.png', 'turned.jpg']) {
      const bytes = readFileSync(join(folder, name));
      expect(Buffer.from(await pictureToShow(bytes))).toEqual(bytes);
    }
  });
});

describe('where pixels and patches lie on the picture', () => {
  const config = (settings: object) => readPreprocessing(write(settings)).preprocessing;
  const file = join(folder, 'rgb.png'); // 83 × 61

  it('without a crop the pixels show the whole picture', async () => {
    const { crop, picture } = await imageToPixels(file, config({ size: 32 }));
    expect(picture).toEqual({ width: 83, height: 61 });
    expect(crop).toEqual({ x: 0, y: 0, width: 83, height: 61 });
  });

  it('a centre crop shows its middle', async () => {
    // 83 × 61 becomes 166 × 122; 100 columns from the 33rd, 80 rows from the 21st, at two pixels to one.
    const { crop } = await imageToPixels(
      file,
      config({ size: { shortest_edge: 122 }, do_center_crop: true, crop_size: { height: 80, width: 100 } }),
    );
    expect(crop).toEqual({ x: 16.5, y: 10.5, width: 50, height: 40 });
  });

  it('a crop larger than the picture reaches beyond its edges', async () => {
    const { crop } = await imageToPixels(
      file,
      config({ do_resize: false, do_center_crop: true, crop_size: { height: 62, width: 87 } }),
    );
    expect(crop).toEqual({ x: -2, y: -1, width: 87, height: 62 });
  });

  it('patches go row by row', () => {
    const rectangles = patchRectangles(
      { shape: [1, 3, 32, 48], crop: { x: 10, y: 20, width: 96, height: 64 } },
      { height: 16, width: 16 },
    );
    expect(rectangles).toHaveLength(6);
    expect(rectangles[0]).toEqual({ x: 10, y: 20, width: 32, height: 32 });
    expect(rectangles[2]).toEqual({ x: 74, y: 20, width: 32, height: 32 });
    expect(rectangles[4]).toEqual({ x: 42, y: 52, width: 32, height: 32 });
  });

  it('a remainder of pixels belongs to no patch', () => {
    const crop = { x: 0, y: 0, width: 30, height: 30 };
    expect(patchRectangles({ shape: [1, 3, 30, 30], crop }, { height: 14, width: 14 })).toHaveLength(4);
  });
});
