export { createCoreMetadata, type CoreMetadata, type CoreMetadataPorts } from './core-metadata.ts';
export { coreMetadataEnvironment, coreMetadataOptions, type CoreMetadataOptions } from './options.ts';
