/** The call that a program makes. */
import type { FileInput } from "../text/literals.mjs";

export interface Call {
  className: string;
  endpoint: string;
  path: string;
  app: string;
  /** the prefix `http://127.0.0.1:PORT/run/owner/alias` */
  url: string;
  value: any;
  key: string;
  method?: string;
  /** what the endpoint takes in the query only */
  query?: Record<string, any>;
  /** the media type that the endpoint takes */
  encoding?: string;
  /** one of `WAYS` */
  way?: string;
  /** its answer is a line of JSON for each value */
  yields?: boolean;
  /** a parameter whose fields are not known */
  model?: string;
  signature?: string;
  /** of all endpoints of the app */
  names?: string[];
}

/** A call with its defaults filled in, and files in place of long data addresses. */
export type PreparedCall = Call & {
  method: string;
  way: string;
  form: boolean;
  /** the key was made in this page */
  made: boolean;
  files: FileInput[];
  query: Record<string, any>;
  /** the path ("" for "/") with its query */
  below: string;
  /** the gateway's address */
  base: string;
};
