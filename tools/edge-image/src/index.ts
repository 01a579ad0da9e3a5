export { buildImage, BUNDLE_LABEL, EDGE_IMAGE, localBase, type BuiltImage } from './build-image.ts';
export { docker, engineFault, ImageError, run, type Ran, type RunOptions } from './engine.ts';
