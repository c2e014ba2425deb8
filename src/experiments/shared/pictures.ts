/**
 * What the names of picture files end with, lower case and without the dot. What a file is, its bytes say
 * (`src/tokens/formats.ts`); these are for dialogs and menus.
 */
export const pictureEndings = ['png', 'jpg', 'jpeg', 'webp', 'gif', 'bmp', 'tif', 'tiff'] as const;
