/** Which format a picture file has: told by its first bytes, for extensions lie. */

/** By ImageMagick's names. */
export type OtherFormat = 'WebP' | 'Gif' | 'Bmp' | 'Tiff';

/** Told by the first bytes, for extensions lie; undefined for any other file. */
export function otherFormatOf(bytes: Buffer): OtherFormat | undefined {
  const head = bytes.toString('latin1', 0, 12);
  if (/^RIFF.{4}WEBP/s.test(head)) return 'WebP';
  if (/^GIF8[79]a/.test(head)) return 'Gif';
  if (/^BM/.test(head)) return 'Bmp';
  return /^(II[*+]\0|MM\0[*+])/.test(head) ? 'Tiff' : undefined;
}

export interface PictureHead {
  readonly format: 'png' | 'jpeg';
  readonly width: number;
  readonly height: number;
  /** Where the header with the size is. */
  readonly frame: number;
  /** A JPEG of four components: CMYK, or its YCCK. */
  readonly cmyk: boolean;
}

/** The container that AVIF and HEIC share, by its brands. */
export const isHeif = (bytes: Buffer) => /^.{4}ftyp(avi|hei|hev|mif|msf)/s.test(bytes.toString('latin1', 0, 12));

/** Format and size from the head of a PNG or JPEG. */
export function pictureHead(bytes: Buffer): PictureHead | undefined {
  if (bytes.length >= 24 && bytes.readUInt32BE(0) === 0x89504e47 && bytes.toString('latin1', 12, 16) === 'IHDR') {
    return {
      format: 'png',
      width: bytes.readUInt32BE(16),
      height: bytes.readUInt32BE(20),
      frame: 16,
      cmyk: false,
    };
  }
  if (bytes.length < 4 || bytes.readUInt16BE(0) !== 0xffd8) return undefined;
  // Segments, each with its length, up to the frame header (SOF0 … SOF15 without the three that are none).
  for (let at = 2; at + 9 <= bytes.length; ) {
    const marker = bytes.readUInt16BE(at);
    if (marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker)) {
      return {
        format: 'jpeg',
        height: bytes.readUInt16BE(at + 5),
        width: bytes.readUInt16BE(at + 7),
        frame: at,
        cmyk: bytes[at + 9] === 4,
      };
    }
    if (marker < 0xff00) return undefined;
    // 0xff may be repeated before a marker.
    at += marker === 0xffff ? 1 : 2 + bytes.readUInt16BE(at + 2);
  }
  return undefined;
}
