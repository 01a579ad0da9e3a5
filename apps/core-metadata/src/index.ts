export { createCoreMetadata, type CoreMetadata, type CoreMetadataPorts } from './core-metadata.ts';
export { coreMetadataOptions, type CoreMetadataOptions } from './options.ts';
