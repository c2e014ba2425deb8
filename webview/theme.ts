/**
 * The colours of the user's theme, read from VS Code's variables, and one sequential ramp made of them.
 *
 * Canvases need numbers, not variables: they are read again whenever the theme changes.
 */

import { tintLevels } from '../src/analysis/tint.js';

/** 256 colours from nothing to most, or from least to most. */
export interface Ramp {
  /** As 0xAABBGGRR (the byte order of `ImageData` on little-endian machines). */
  readonly ramp: Uint32Array;
  /** The same as CSS, each with the text colour that reads well on it. */
  readonly tones: readonly Tone[];
}

export interface Tone {
  readonly color: string;
  readonly text: string;
}

/** What is coloured: magnitudes, attention, or what differs between two runs. Each has colours of its own. */
export type RampName = 'magnitude' | 'attention' | 'difference';

export interface Theme {
  readonly background: string;
  readonly foreground: string;
  readonly muted: string;
  readonly line: string;
  readonly focus: string;
  readonly massive: string;
  readonly large: string;
  readonly sink: string;
  /** Of bars and lines: none of them is the colour of massive activations or of sinks, which mean that alone. */
  readonly series: readonly [string, ...string[]];
  /** Of the parts of a block, where it is drawn. */
  readonly parts: Readonly<Record<'attention' | 'cross' | 'mlp' | 'experts', string>>;
  readonly font: string;
  readonly highContrast: boolean;
  /**
   * Magnitudes go through the hues of the tints; attention from the background to the colour of sinks; differences from
   * blue over the background, for nothing, to red.
   */
  readonly ramps: Readonly<Record<RampName, Ramp>>;
}

/** The step of a ramp at a place from 0 to 1; the ends stand for what lies beyond them. */
export const rampStep = (place: number): number => Math.min(255, Math.max(0, Math.round(place * 255)));

/** The colours at a place on a ramp, as {@link rampStep} has it. */
export function toneAt({ tones }: Ramp, place: number): Tone {
  const tone = tones[rampStep(place)];
  if (!tone) throw new RangeError(`There is no colour for ${place}.`);
  return tone;
}

type Lab = readonly [lightness: number, a: number, b: number];

/** The theme in force at an element, by default that of the page. */
export function readTheme(place: Element = document.body): Theme {
  const style = getComputedStyle(place);
  const read = colorReader();
  const color = (name: string, fallback: string) => style.getPropertyValue(`--vscode-${name}`).trim() || fallback;
  const background = style.backgroundColor;
  const foreground = color('editor-foreground', color('foreground', 'CanvasText'));
  const ground = toLab(read(background));
  // Those of the editor's tints: a colour is one quantity, wherever it is seen.
  const tints = Array.from({ length: tintLevels }, (_, i) => color(`sinkscope-tint${i + 1}`, 'purple'));
  const hues = tints.map((tint) => toLab(read(`rgb(from ${tint} r g b / 1)`)));
  const massive = color('sinkscope-massive', color('charts-orange', foreground));
  const sink = color('sinkscope-sink', color('charts-blue', foreground));
  const [blue, red] = [color('charts-blue', foreground), color('charts-red', foreground)];
  const lightness = { foreground: luminance(read(foreground)), background: luminance(read(background)) };
  /** As near to a colour as what is written in it can be read. */
  const readable = (wanted: string): string => {
    const mixed = [0, 20, 40, 60, 80].map((share) => `color-mix(in srgb, ${foreground} ${share}%, ${wanted})`);
    const found = mixed.map(read).find((one) => contrast(luminance(one), lightness.background) >= 4.5);
    return found ? `rgb(${found.join(' ')})` : foreground;
  };
  const rampOf = (steps: readonly (readonly [number, number, number])[]): Ramp => ({
    ramp: Uint32Array.from(steps, ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0),
    tones: steps.map((step) => {
      const here = luminance(step);
      const on = ([, ground]: readonly [string, number]) => contrast(ground, here);
      const best = (of: readonly (readonly [string, number])[]) => of.reduce((a, b) => (on(b) > on(a) ? b : a));
      const own = best([
        [foreground, lightness.foreground],
        [background, lightness.background],
      ]);
      // Black or white, one of which reads on any colour, where neither of the theme's does.
      const [text] = on(own) >= 4.5 ? own : best([own, ['black', 0], ['white', 1]]);
      return { color: `rgb(${step.join(' ')})`, text };
    }),
  });
  return {
    ramps: {
      magnitude: rampOf(ramp(ground, hues)),
      attention: rampOf(ramp(ground, [toLab(read(sink))])),
      difference: rampOf(parted(toLab(read(blue)), ground, toLab(read(red)))),
    },
    background,
    foreground,
    muted: color('descriptionForeground', foreground),
    line: color('widget-border', color('contrastBorder', color('editorWidget-border', foreground))),
    focus: color('focusBorder', foreground),
    massive,
    large: color('sinkscope-large', color('charts-yellow', foreground)),
    sink,
    series: [
      readable(color('charts-purple', foreground)),
      foreground,
      ...[blue, color('charts-green', foreground), red].map(readable),
    ],
    parts: {
      attention: blue,
      cross: color('charts-purple', foreground),
      mlp: color('charts-green', foreground),
      experts: color('charts-yellow', foreground),
    },
    font: color('font-family', 'sans-serif'),
    highContrast: place.className.includes('vscode-high-contrast'),
  };
}

/** Calls `listener` whenever VS Code changes theme, font or contrast, until the returned function is called. */
export function watchTheme(listener: () => void): () => void {
  const observer = new MutationObserver(listener);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['style', 'class'] });
  observer.observe(document.body, { attributes: true, attributeFilter: ['class'] });
  return () => observer.disconnect();
}

/**
 * Hue from the theme, lightness ours: a level of the tints is as far along as its number, in OKLab, and the lightness
 * goes from the background's to the far end, so that more always looks like more, on dark and on light.
 */
function ramp(ground: Lab, hues: readonly Lab[]): [number, number, number][] {
  const end = ground[0] < 0.5 ? 0.9 : 0.35;
  const stops: Lab[] = [ground, ...hues];
  return Array.from({ length: 256 }, (_, step) => {
    // Ordinary cells are many and shall not shout, but even the least is to be told from no cell at all.
    const share = 0.05 + 0.95 * (step / 255) ** 1.6;
    const at = (step / 255) * (stops.length - 1);
    const low = Math.min(stops.length - 2, Math.floor(at));
    const [from = ground, to = ground] = stops.slice(low, low + 2);
    const strength = Math.min(1, 1.6 * share);
    const mix = (index: 1 | 2) => {
      const hue = from[index] + (to[index] - from[index]) * (at - low);
      return ground[index] + (hue - ground[index]) * strength;
    };
    return fromLab([ground[0] + (end - ground[0]) * share, mix(1), mix(2)]);
  });
}

/** Evenly in OKLab from one colour to the middle and on to another. */
function parted(low: Lab, middle: Lab, high: Lab): [number, number, number][] {
  return Array.from({ length: 256 }, (_, step) => {
    const at = step / 127.5 - 1;
    const end = at < 0 ? low : high;
    const mix = (index: 0 | 1 | 2) => middle[index] + (end[index] - middle[index]) * Math.abs(at);
    return fromLab([mix(0), mix(1), mix(2)]);
  });
}

/** Any CSS colour as bytes, by painting it: variables come as names, hexes and functions of all kinds. */
function colorReader(): (css: string) => [number, number, number] {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  return (css) => {
    if (context === null) return [0, 0, 0];
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = css;
    context.fillRect(0, 0, 1, 1);
    const [r = 0, g = 0, b = 0] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b];
  };
}

const linear = (byte: number) => {
  const value = byte / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
};
const byte = (value: number) => {
  const clipped = Math.min(1, Math.max(0, value));
  return Math.round(255 * (clipped <= 0.0031308 ? 12.92 * clipped : 1.055 * clipped ** (1 / 2.4) - 0.055));
};

/** sRGB bytes to OKLab (Björn Ottosson, 2020). */
function toLab(rgb: readonly [number, number, number]): Lab {
  const [r, g, b] = [linear(rgb[0]), linear(rgb[1]), linear(rgb[2])];
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function fromLab([lightness, a, b]: Lab): [number, number, number] {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    byte(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    byte(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    byte(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ];
}

/** Relative luminance and contrast ratio as WCAG 2 defines them. */
function luminance([r, g, b]: readonly [number, number, number]): number {
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
}
const contrast = (one: number, other: number) => (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
