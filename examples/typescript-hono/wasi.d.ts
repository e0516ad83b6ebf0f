// What app.ts uses of wit/: functions of an interface are exports of a module of its name.
declare module 'wasi:cli/environment@0.2.10' {
  export function getEnvironment(): [string, string][];
}
