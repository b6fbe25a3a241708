/** What the core lets be known besides its answers: typed taps for the log now, for metrics and the console later. */

export interface Happenings {
  /** A bug, or a failure that no caller was told of. */
  failed(what: string, cause: unknown): void
  /** Something a person who runs the hub should know. */
  noticed(what: string, details?: Readonly<Record<string, unknown>>): void
}

export const SILENT: Happenings = { failed: () => {}, noticed: () => {} }
