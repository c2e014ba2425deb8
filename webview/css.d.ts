/** esbuild writes imported style sheets beside the bundle. */
declare module '*.css';
