export { folderOf, type OpenApi } from './collection.ts';
export { runFolders, type NewmanRun } from './newman.ts';
