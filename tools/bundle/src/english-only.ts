import type { Plugin } from 'esbuild';

/**
 * zod brings its messages in some fifty languages along, all parsed and kept in memory by every process that checks anything. Only
 * the English ones are ever used.
 */
export const englishOnly: Plugin = {
  name: 'english-only',
  setup(build) {
    build.onLoad({ filter: /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: `export { default as en } from './en.js';`,
      loader: 'js',
    }));
  },
};
