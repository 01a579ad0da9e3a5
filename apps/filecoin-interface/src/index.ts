export { filecoinInterfaceOptions, type FilecoinInterfaceOptions } from './options.ts';
export {
  createFilecoinInterface,
  type FilecoinInterface,
  type FilecoinInterfacePorts,
} from './filecoin-interface.ts';
