export {
  loadContract,
  type Contract,
  type ContractService,
  type MadeRequest,
  type Operation,
} from './contract.ts';
export { openSuite, type Answer, type Exchange, type Suite, type Unprovoked } from './suite.ts';
export { ContractBroken } from './contract-broken.ts';
