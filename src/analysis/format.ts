const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 });

/** Below this a number is written with a power of ten: nobody counts so many noughts. */
const tiny = 1e-5;
const isTiny = (value: number) => value !== 0 && Math.abs(value) < tiny;

/**
 * A number as it is shown everywhere: three significant digits, all digits before the point, thousands set off; a tiny one
 * as `5.82e−7`.
 */
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (isTiny(value)) return Number(value.toPrecision(3)).toExponential().replaceAll('-', '−');
  const text = (Math.abs(value) >= 100 ? whole : short).format(Math.abs(value));
  return value < 0 ? `−${text}` : text;
}

const three = new Intl.NumberFormat('en-US', { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });

/** As {@link formatNumber}, with each of the three digits, where numbers stand below one another: `3.50`, `81.0`, `0`. */
export function formatAligned(value: number): string {
  if (isTiny(value)) return value.toExponential(2).replaceAll('-', '−');
  const isShort = value !== 0 && Math.abs(value) < 100;
  return isShort ? three.format(value).replace('-', '−') : formatNumber(value);
}

const two = { minimumFractionDigits: 2, maximumFractionDigits: 2 } as const;
// What is rounded to nothing has no sign: −0.00 would be a direction that is not there.
const hundredths = new Intl.NumberFormat('en-US', { ...two, signDisplay: 'negative' });
const signedHundredths = new Intl.NumberFormat('en-US', { ...two, signDisplay: 'exceptZero' });

/** A number with two digits after the point, where several are compared: `38.40`, `1,204.17`. */
export function formatFixed(value: number): string {
  return hundredths.format(value).replace('-', '−');
}

/** A difference with two digits after the point: `+0.43`, `−0.28`, `0.00`. */
export function formatSigned(value: number): string {
  return signedHundredths.format(value).replace('-', '−');
}

/** An activation: with its sign, since the sign is part of what stays constant. `+2,084`, `−173`. */
export function formatValue(value: number, number = formatNumber): string {
  return value > 0 ? `+${number(value)}` : number(value);
}

/** Multiples of the median: `2,298 ×`. */
export function formatRatio(ratio: number): string {
  return `${formatNumber(ratio)} ×`;
}

/** `1 window`, `2 windows`. */
export function counted(count: number, what: string): string {
  return `${formatNumber(count)} ${what}${count === 1 ? '' : 's'}`;
}

/** A share in percent: `39.9 %`. */
export const formatShare = (share: number): string => percent(share, formatNumber);

/** As {@link formatShare}, in the digits of {@link formatAligned}. */
export const alignedShare = (share: number): string => percent(share, formatAligned);

function percent(share: number, number: (value: number) => string): string {
  // Below this a percentage has more noughts than meaning.
  return share !== 0 && Math.abs(share) < 1e-5 ? '< 0.001 %' : `${number(100 * share)} %`;
}

/** A duration: `24 ms`, `1.29 s`. */
export function formatSeconds(seconds: number): string {
  return seconds < 1 ? `${formatNumber(1000 * seconds)} ms` : `${formatNumber(seconds)} s`;
}
