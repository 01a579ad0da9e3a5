export * from './block.ts';
export * from './block-store.ts';
export * from './chunker.ts';
export * from './dag.ts';
export * from './unixfs-file.ts';
export * from './unixfs-directory.ts';
