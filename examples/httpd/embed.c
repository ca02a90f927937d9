/* SPDX-License-Identifier: MIT */
/* embed.c: turns the pages of a demo into a C file, at build time: embed OUT FILE... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void fail(const char *what, const char *name) {
  fprintf(stderr, "embed: %s: ", what);
  perror(name);
  exit(1);
}

static const char *base_name(const char *file) {
  const char *slash = strrchr(file, '/');
  return slash ? slash + 1 : file;
}

static int ends_in(const char *name, const char *end) {
  size_t len = strlen(name), end_len = strlen(end);
  return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

static const char *media_type(const char *name) {
  static const struct {
    const char *end, *type;
  } types[] = {
      {".html", "text/html; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".svg", "image/svg+xml"},
  };
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
    if (ends_in(name, types[i].end)) return types[i].type;
  }
  return "application/octet-stream";
}

/* Writes the bytes of one file as an array. The closing 0 is not counted in its length; it is there
 * because an array of an empty file would have no element. */
static size_t write_bytes(FILE *out, const char *file, int number) {
  FILE *in = fopen(file, "rb");
  if (!in) fail("cannot open", file);
  size_t len = 0;
  int byte;
  fprintf(out, "\nstatic const unsigned char page_%d[] = {", number);
  while ((byte = getc(in)) != EOF) {
    fprintf(out, "%s0x%02x,", len % 16 ? " " : "\n  ", (unsigned)byte);
    len++;
  }
  fputs("\n  0};\n", out);
  if (ferror(in)) fail("cannot read", file);
  fclose(in);
  return len;
}

/* How much of a file's name is its path: nothing of index.html, and of others all but ".html". */
static size_t path_len(const char *name) {
  if (strcmp(name, "index.html") == 0) return 0;
  return strlen(name) - (ends_in(name, ".html") ? strlen(".html") : 0);
}

static void write_pages(FILE *out, char **files, int count) {
  size_t *lengths = calloc((size_t)count + 1, sizeof *lengths);
  if (!lengths) fail("no memory", "pages");
  fputs("#include \"pages.h\"\n", out);
  for (int i = 0; i < count; i++) lengths[i] = write_bytes(out, files[i], i);
  fputs("\nconst struct page pages[] = {\n", out);
  for (int i = 0; i < count; i++) {
    const char *name = base_name(files[i]);
    fprintf(out, "  {\"/%.*s\", \"%s\", page_%d, %zu},\n", (int)path_len(name), name,
            media_type(name), i, lengths[i]);
  }
  fprintf(out, "  {NULL, NULL, NULL, 0},\n};\nconst size_t pages_count = %d;\n", count);
  free(lengths);
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fputs("usage: embed OUT FILE...\n", stderr);
    return 2;
  }
  FILE *out = fopen(argv[1], "wb");
  if (!out) fail("cannot open", argv[1]);
  write_pages(out, argv + 2, argc - 2);
  if (ferror(out) | fclose(out)) fail("cannot write", argv[1]);
  return 0;
}
