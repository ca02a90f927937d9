/* SPDX-License-Identifier: MIT */
/* test_tokens.c: JSON Web Tokens of the broadcast server: good and bad ones, rotation, and ends. */
#if defined(BROADCAST_JWT)

#include <sys/stat.h>

#include "sign.h"

#define FIRST  "first-secret-of-32-bytes-or-more"
#define SECOND "second-secret-of-32-bytes-or-more"
#define THIRD  "third-secret-of-32-bytes-or-more!"
/* RFC 7515, appendix A.1. */
#define RFC_SECRET                                                                                 \
  "base64:AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"

#define LATER "4102444800" /* the year 2100 */

enum {
  HEADERS_MAX = 4096,
  HUGE_BYTES = 900 * 1024
};

static char folder[] = "/tmp/broadcast-tokens-XXXXXX";
static char secret_file[64], rsa_file[64], ec_file[64], rfc_rsa_file[64], rfc_ec_file[64];
static EVP_PKEY *rsa, *other_rsa, *ec;
static char rsa_pem[2048]; /* the public key of `rsa`, as a client may know it */
static struct child server, only_rsa;
static char token[HEADERS_MAX]; /* the last one that token_of has made */

static void write_text(const char *path, const char *text) {
  FILE *to = fopen(path, "w");
  assert_non_null(to);
  fputs(text, to);
  assert_int_equal(fclose(to), 0);
}

static const char rfc_rsa[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj\n"
                              "NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz\n"
                              "P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo\n"
                              "9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB\n"
                              "EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX\n"
                              "FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp\n"
                              "oQIDAQAB\n"
                              "-----END PUBLIC KEY-----\n";
static const char rfc_ec[] = "-----BEGIN PUBLIC KEY-----\n"
                             "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
                             "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
                             "-----END PUBLIC KEY-----\n";

static void read_pem(void) {
  FILE *from = fopen(rsa_file, "r");
  assert_non_null(from);
  rsa_pem[fread(rsa_pem, 1, sizeof rsa_pem - 1, from)] = '\0';
  fclose(from);
}

static int start_servers(void **state) {
  (void)state;
  char rs[80], es[80], rfc_rs[80], rfc_es[80];
  if (!mkdtemp(folder)) return -1;
  snprintf(secret_file, sizeof secret_file, "%s/secrets", folder);
  snprintf(rsa_file, sizeof rsa_file, "%s/rsa", folder);
  snprintf(ec_file, sizeof ec_file, "%s/ec", folder);
  snprintf(rfc_rsa_file, sizeof rfc_rsa_file, "%s/rfc-rsa", folder);
  snprintf(rfc_ec_file, sizeof rfc_ec_file, "%s/rfc-ec", folder);
  rsa = EVP_RSA_gen(2048);
  other_rsa = EVP_RSA_gen(2048);
  ec = EVP_EC_gen("P-256");
  write_public_key(rsa_file, rsa);
  write_public_key(ec_file, ec);
  read_pem();
  write_text(rfc_rsa_file, rfc_rsa);
  write_text(rfc_ec_file, rfc_ec);
  write_text(secret_file, "# rotated\n" FIRST "\n" SECOND "\n" RFC_SECRET "\n");
  snprintf(rs, sizeof rs, "RS256:%s", rsa_file);
  snprintf(es, sizeof es, "ES256:%s", ec_file);
  snprintf(rfc_rs, sizeof rfc_rs, "RS256:%s", rfc_rsa_file);
  snprintf(rfc_es, sizeof rfc_es, "ES256:%s", rfc_ec_file);
  const char *const args[] = {"--jwt-secret-file",
                              secret_file,
                              "--jwt-key",
                              rs,
                              "--jwt-key",
                              es,
                              "--jwt-key",
                              rfc_rs,
                              "--jwt-key",
                              rfc_es,
                              "--jwt-cookie",
                              "token",
                              NULL};
  server_start(&server, args);
  server_start(&only_rsa,
               (const char *const[]){"--jwt-key", rs, "--publish-secret", "s3cret", NULL});
  return 0;
}

static int stop_servers(void **state) {
  (void)state;
  const char *const files[] = {secret_file, rsa_file, ec_file, rfc_rsa_file, rfc_ec_file};
  int first = child_stop(&server, SIGTERM), second = child_stop(&only_rsa, SIGTERM);
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) unlink(files[i]);
  EVP_PKEY_free(rsa);
  EVP_PKEY_free(other_rsa);
  EVP_PKEY_free(ec);
  return rmdir(folder) == 0 && first == 0 && second == 0 ? 0 : -1;
}

/* ---- Tokens ---- */

enum signer {
  BY_FIRST,
  BY_SECOND,
  BY_THIRD,
  BY_RSA,
  BY_OTHER_RSA,
  BY_EC,
  BY_PEM, /* HMAC with the text of the public key */
  BY_NOBODY
};

static const char *token_of(const char *header, const char *claims, enum signer signer) {
  const char *secret = NULL;
  EVP_PKEY *key = NULL;
  switch (signer) {
  case BY_FIRST:
    secret = FIRST;
    break;
  case BY_SECOND:
    secret = SECOND;
    break;
  case BY_THIRD:
    secret = THIRD;
    break;
  case BY_RSA:
    key = rsa;
    break;
  case BY_OTHER_RSA:
    key = other_rsa;
    break;
  case BY_EC:
    key = ec;
    break;
  case BY_PEM:
    secret = rsa_pem;
    break;
  case BY_NOBODY:
    break;
  }
  make_token(token, header, claims, key, secret);
  return token;
}

/* Writes the header of a token, behind that of the body's type. */
static void put_bearer(char headers[HEADERS_MAX], const char *type, const char *text) {
  assert_true(strlen(type) + strlen(text) + 32 < HEADERS_MAX);
  stpcpy(stpcpy(stpcpy(stpcpy(headers, type), "Authorization: Bearer "), text), "\r\n");
}

static int poll_with(const struct child *child, const char *channel, const char *bearer) {
  char target[256], headers[HEADERS_MAX];
  snprintf(target, sizeof target, "GET /poll?timeout=0&channel=%s", channel);
  put_bearer(headers, "", bearer);
  return request(child, target, headers, "");
}

static void judge(const char *name, int status, int wanted, const char *text) {
  if (status != wanted) fail_msg("%s: want %d, got %d: %s", name, wanted, status, answer);
  if (text && !strstr(answer, text)) fail_msg("%s: want %s: %s", name, text, answer);
  const char *challenge = strstr(answer, "WWW-Authenticate: Bearer");
  if ((challenge != NULL) != (status == 401 || status == 403))
    fail_msg("%s: WWW-Authenticate: %s", name, answer);
}

#define HS256    "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define RS256    "{\"alg\":\"RS256\",\"typ\":\"JWT\"}"
#define ES256    "{\"alg\":\"ES256\",\"typ\":\"JWT\"}"
#define NEWS     "{\"subscribe\":[\"news\"]}"
#define WRONG    "the signature of the token is wrong\n"
#define UNKNOWN  "the algorithm of the token is not one of the server's keys\n"
#define NO_JWT   "the token is not a JWT\n"
#define NO_ARRAY "is not an array of at most 300 strings\n"
#define INVALID  "Bearer error=\"invalid_token\""
#define SCOPE    "Bearer error=\"insufficient_scope\""

static void each_token_is_judged(void **state) {
  (void)state;
  static const struct {
    const char *name, *header, *claims;
    enum signer signer;
    int status;
    const char *want;
  } rows[] = {
      {"the first secret", HS256, NEWS, BY_FIRST, 200, NULL},
      {"the second secret", HS256, NEWS, BY_SECOND, 200, NULL},
      {"RS256", RS256, NEWS, BY_RSA, 200, NULL},
      {"ES256", ES256, NEWS, BY_EC, 200, NULL},
      {"no type", "{\"alg\":\"HS256\"}", NEWS, BY_FIRST, 200, NULL},
      {"a key's name", "{\"alg\":\"HS256\",\"kid\":\"x\"}", NEWS, BY_FIRST, 200, NULL},
      {"another secret", HS256, NEWS, BY_THIRD, 401, WRONG},
      {"another key", RS256, NEWS, BY_OTHER_RSA, 401, WRONG},
      {"no signature", HS256, NEWS, BY_NOBODY, 401, NULL},
      {"none", "{\"alg\":\"none\"}", NEWS, BY_NOBODY, 401, NULL},
      {"none, signed", "{\"alg\":\"none\"}", NEWS, BY_FIRST, 401, NULL},
      {"None", "{\"alg\":\"None\"}", NEWS, BY_NOBODY, 401, NULL},
      {"no algorithm", "{\"typ\":\"JWT\"}", NEWS, BY_FIRST, 401, NULL},
      {"HS256 with the public key", HS256, NEWS, BY_PEM, 401, WRONG},
      {"RS256 with the secret", RS256, NEWS, BY_FIRST, 401, WRONG},
      {"ES256 with the RSA key", ES256, NEWS, BY_RSA, 401, WRONG},
      {"HS384", "{\"alg\":\"HS384\"}", NEWS, BY_FIRST, 401, UNKNOWN},
      {"hs256", "{\"alg\":\"hs256\"}", NEWS, BY_FIRST, 401, UNKNOWN},
      {"no known algorithm", "{\"alg\":\"XS256\"}", NEWS, BY_FIRST, 401, NULL},
      {"a number as algorithm", "{\"alg\":1}", NEWS, BY_FIRST, 401, NULL},
      {"critical", "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", NEWS, BY_FIRST, 401,
       "the token has a critical header\n"},
      {"header not JSON", "alg", NEWS, BY_FIRST, 401, NO_JWT},
      {"claims not JSON", HS256, "subscribe", BY_FIRST, 401, NO_JWT},
      {"claims empty", HS256, "", BY_FIRST, 401, NO_JWT},
      {"claims an array", HS256, "[\"news\"]", BY_FIRST, 401, NULL},
      {"claims cut off", HS256, "{\"subscribe\":[\"news\"]", BY_FIRST, 401, NO_JWT},
      {"not expired", HS256, "{\"exp\":" LATER ",\"subscribe\":[\"news\"]}", BY_FIRST, 200, NULL},
      {"a fraction", HS256, "{\"exp\":" LATER ".5,\"subscribe\":[\"news\"]}", BY_FIRST, 200, NULL},
      {"expired", HS256, "{\"exp\":1300819380,\"subscribe\":[\"news\"]}", BY_FIRST, 401,
       "the token has expired\n"},
      {"expired at 0", HS256, "{\"exp\":0,\"subscribe\":[\"news\"]}", BY_FIRST, 401,
       "the token has expired\n"},
      {"expired before 1970", HS256, "{\"exp\":-1,\"subscribe\":[\"news\"]}", BY_FIRST, 401,
       "the token has expired\n"},
      {"exp a string", HS256, "{\"exp\":\"" LATER "\",\"subscribe\":[\"news\"]}", BY_FIRST, 401,
       "not a number\n"},
      {"exp null", HS256, "{\"exp\":null,\"subscribe\":[\"news\"]}", BY_FIRST, 401,
       "not a number\n"},
      {"exp true", HS256, "{\"exp\":true,\"subscribe\":[\"news\"]}", BY_FIRST, 401,
       "not a number\n"},
      {"exp an array", HS256, "{\"exp\":[" LATER "],\"subscribe\":[\"news\"]}", BY_FIRST, 401,
       "not a number\n"},
      {"exp without bound", HS256, "{\"exp\":1e999,\"subscribe\":[\"news\"]}", BY_FIRST, 401, NULL},
      {"valid already", HS256, "{\"nbf\":1300819380,\"subscribe\":[\"news\"]}", BY_FIRST, 200,
       NULL},
      {"not valid yet", HS256, "{\"nbf\":" LATER ",\"subscribe\":[\"news\"]}", BY_FIRST, 401,
       "the token is not valid yet\n"},
      {"nbf a string", HS256, "{\"nbf\":\"1\",\"subscribe\":[\"news\"]}", BY_FIRST, 401,
       "not a number\n"},
      {"no claims", HS256, "{}", BY_FIRST, 403, "no claim subscribe"},
      {"only publish", HS256, "{\"publish\":[\"*\"]}", BY_FIRST, 403, "no claim subscribe"},
      {"subscribe empty", HS256, "{\"subscribe\":[]}", BY_FIRST, 403, "channel news\n"},
      {"subscribe a string", HS256, "{\"subscribe\":\"news\"}", BY_FIRST, 401, NO_ARRAY},
      {"subscribe null", HS256, "{\"subscribe\":null}", BY_FIRST, 401, NO_ARRAY},
      {"subscribe true", HS256, "{\"subscribe\":true}", BY_FIRST, 401, NO_ARRAY},
      {"subscribe an object", HS256, "{\"subscribe\":{\"news\":[]}}", BY_FIRST, 401, NO_ARRAY},
      {"subscribe numbers", HS256, "{\"subscribe\":[1]}", BY_FIRST, 401, NO_ARRAY},
      {"subscribe mixed", HS256, "{\"subscribe\":[\"news\",1]}", BY_FIRST, 401, NO_ARRAY},
      {"subscribe nested", HS256, "{\"subscribe\":[[\"news\"]]}", BY_FIRST, 401, NO_ARRAY},
      {"publish a string", HS256, "{\"subscribe\":[\"news\"],\"publish\":\"*\"}", BY_FIRST, 401,
       NO_ARRAY},
      {"NUL in a name", HS256, "{\"subscribe\":[\"news\\u0000\"]}", BY_FIRST, 401, NULL},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    token_of(rows[i].header, rows[i].claims, rows[i].signer);
    judge(rows[i].name, poll_with(&server, "news", token), rows[i].status, rows[i].want);
    if (rows[i].status == 401 && !strstr(answer, INVALID)) fail_msg("%s: %s", rows[i].name, answer);
    if (rows[i].status == 403 && !strstr(answer, SCOPE)) fail_msg("%s: %s", rows[i].name, answer);
  }
}

/* libjwt verifies by the algorithm of the token, and would take the public key as a secret. */
static void a_public_key_is_no_secret(void **state) {
  (void)state;
  judge("RS256", poll_with(&only_rsa, "news", token_of(RS256, NEWS, BY_RSA)), 200, NULL);
  judge("HS256", poll_with(&only_rsa, "news", token_of(HS256, NEWS, BY_PEM)), 401, UNKNOWN);
  judge("none", poll_with(&only_rsa, "news", token_of("{\"alg\":\"none\"}", NEWS, BY_NOBODY)), 401,
        UNKNOWN);
}

/* Made by others: the examples of RFC 7515, which expired in 2011, and one by Python. */
static void tokens_of_others_are_read(void **state) {
  (void)state;
#define RFC_CLAIMS                                                                                 \
  "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define PYTHON                                                                                     \
  "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."                                                          \
  "eyJleHAiOjQxMDI0NDQ4MDAsInN1YnNjcmliZSI6WyJuZXdzIiwib3JkZXJzLyoiXSwicHVibGlzaCI6WyJuZXdzIl19"
  static const struct {
    const char *name, *token;
    int status;
    const char *want;
  } rows[] = {
      {"A.1",
       "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC_CLAIMS
       ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
       401, "the token has expired\n"},
      {"A.1, changed",
       "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC_CLAIMS
       ".eBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
       401, WRONG},
      {"A.2",
       "eyJhbGciOiJSUzI1NiJ9." RFC_CLAIMS ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3X"
       "OiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZ"
       "LgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOk"
       "HWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0ig"
       "cN_IoypGlUPQGe77Rw",
       401, "the token has expired\n"},
      {"A.3",
       "eyJhbGciOiJFUzI1NiJ9." RFC_CLAIMS ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5d"
       "jxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
       401, "the token has expired\n"},
      {"A.5", "eyJhbGciOiJub25lIn0." RFC_CLAIMS ".", 401, UNKNOWN},
      {"Python", PYTHON ".NS0Jy2WRV6mzlTGlty_Y8oe3NoFgtOYp6wicNLwgwEA", 200, NULL},
      {"Python, another signature", PYTHON ".NS0Jy2WRV6mzlTGlty_Y8oe3NoFgtOYp6wicNLwgwEE", 401,
       WRONG},
      {"Python, a part too many", PYTHON ".NS0Jy2WRV6mzlTGlty_Y8oe3NoFgtOYp6wicNLwgwEA.", 401,
       NULL},
      {"Python, no signature", PYTHON, 401, NO_JWT},
      {"one part", "eyJhbGciOiJub25lIn0", 401, NO_JWT},
      {"dots", "..", 401, NO_JWT},
      {"empty", "", 401, NULL},
      {"no base64", "%%%.%%%.%%%", 401, NO_JWT},
      {"two tokens", "a b", 401, NO_JWT},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    judge(rows[i].name, poll_with(&server, "news", rows[i].token), rows[i].status, rows[i].want);
}

static void a_huge_token_is_refused(void **state) {
  (void)state;
  static char body[HUGE_BYTES + 64];
  static const size_t sizes[] = {8000, 8193, (size_t)64 * 1024, HUGE_BYTES};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    char *huge = stpcpy(body, "channel=news&access_token=");
    memset(huge, 'a', sizes[i]);
    huge[sizes[i]] = '\0';
    huge[20] = huge[40] = '.';
    judge("huge", request(&server, "POST /poll?timeout=0", FORM, body), 401,
          sizes[i] > 8192 ? "the token is longer than 8 KiB\n" : NO_JWT);
  }
}

/* ---- Claims ---- */

static void prefixes_have_borders(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *channel;
    int status;
  } rows[] = {
      {"orders", "orders", 200},
      {"orders", "ordersX", 403},
      {"orders", "orders/", 403},
      {"orders", "orders/1", 403},
      {"orders", "order", 403},
      {"orders", "Orders", 403},
      {"orders", "*", 403},
      {"orders/*", "orders/", 200},
      {"orders/*", "orders/1", 200},
      {"orders/*", "orders/1/paid", 200},
      {"orders/*", "orders", 403},
      {"orders/*", "ordersX", 403},
      {"orders/*", "ordersX/1", 403},
      {"orders/*", "x/orders/1", 403},
      {"orders/*", "orders/*", 200},
      {"orders/1/*", "orders/1", 403},
      {"orders/1/*", "orders/12", 403},
      {"orders/", "orders/1", 403},
      {"orders/", "orders/", 200},
      {"orders*", "ordersX", 403},
      {"orders*", "orders*", 200},
      {"*/paid", "orders/paid", 403},
      {"*/paid", "*/paid", 200},
      {"o/*/paid", "o/1/paid", 403},
      {"**", "orders", 403},
      {"/*", "orders", 403},
      {"/*", "/orders", 200},
      {"*", "orders", 200},
      {"*", "orders/1", 200},
      {"", "orders", 403},
      {"a\\u00e9/*", "a%C3%A9/1", 200},
      {"a\\u00e9/*", "a%C3%A8/1", 403},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char claims[128], name[128], form[128];
    snprintf(name, sizeof name, "%s for %s", rows[i].pattern, rows[i].channel);
    snprintf(claims, sizeof claims, "{\"subscribe\":[\"x\",\"%s\"]}", rows[i].pattern);
    judge(name, poll_with(&server, rows[i].channel, token_of(HS256, claims, BY_FIRST)),
          rows[i].status, rows[i].status == 403 ? "the claim subscribe of the token" : NULL);
    snprintf(claims, sizeof claims, "{\"publish\":[\"%s\",\"x\"]}", rows[i].pattern);
    char headers[HEADERS_MAX];
    put_bearer(headers, FORM, token_of(HS256, claims, BY_FIRST));
    snprintf(form, sizeof form, "message=m&channel=%s", rows[i].channel);
    judge(name, request(&server, "POST /publish", headers, form), rows[i].status,
          rows[i].status == 403 ? "the claim publish of the token" : NULL);
  }
}

static void all_channels_must_be_covered(void **state) {
  (void)state;
  token_of(HS256, "{\"subscribe\":[\"news\",\"orders/*\"]}", BY_FIRST);
  judge("both", poll_with(&server, "news&channels=orders/1", token), 200, NULL);
  judge("one of two", poll_with(&server, "news&channels=sport", token), 403,
        "the claim subscribe of the token does not cover the channel sport\n");
}

/* Where a token may be; the first place counts. */
static void a_token_has_three_places(void **state) {
  (void)state;
  static char good[512], bad[512], headers[4096], target[2048];
  make_token(good, HS256, NEWS, NULL, FIRST);
  make_token(bad, HS256, NEWS, NULL, THIRD);
  const struct {
    const char *name, *bearer, *param, *cookie;
    int status;
  } rows[] = {
      {"none", NULL, NULL, NULL, 401},
      {"header", good, NULL, NULL, 200},
      {"parameter", NULL, good, NULL, 200},
      {"cookie", NULL, NULL, good, 200},
      {"bad cookie", NULL, NULL, bad, 401},
      {"bad parameter", NULL, bad, NULL, 401},
      {"header first", good, bad, bad, 200},
      {"bad header first", bad, good, good, 401},
      {"parameter before cookie", NULL, good, bad, 200},
      {"bad parameter before cookie", NULL, bad, good, 401},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    snprintf(target, sizeof target, "GET /poll?timeout=0&channel=news%s%s",
             rows[i].param ? "&access_token=" : "", rows[i].param ? rows[i].param : "");
    snprintf(headers, sizeof headers, "%s%s%s%s%s%s",
             rows[i].bearer ? "Authorization: bearer " : "", rows[i].bearer ? rows[i].bearer : "",
             rows[i].bearer ? "\r\n" : "", rows[i].cookie ? "Cookie: a=b; token=" : "",
             rows[i].cookie ? rows[i].cookie : "", rows[i].cookie ? "; token2=c\r\n" : "");
    judge(rows[i].name, request(&server, target, headers, ""), rows[i].status, NULL);
  }
  static const struct {
    const char *format;
    int status;
  } cookies[] = {{"Cookie: token=%s\r\n", 200},    {"Cookie: token=\"%s\"\r\n", 200},
                 {"Cookie: xtoken=%s\r\n", 401},   {"Cookie: token2=%s\r\n", 401},
                 {"Cookie: a=token=%s\r\n", 401},  {"Cookie: Token=%s\r\n", 401},
                 {"Cookie: ;;token=%s;\r\n", 200}, {"Cookie: token %s\r\n", 401}};
  for (size_t i = 0; i < sizeof cookies / sizeof *cookies; i++) {
    const char *hole = strstr(cookies[i].format, "%s");
    snprintf(headers, sizeof headers, "%.*s%s%s", (int)(hole - cookies[i].format),
             cookies[i].format, good, hole + 2);
    judge(cookies[i].format, request(&server, "GET /poll?timeout=0&channel=news", headers, ""),
          cookies[i].status, NULL);
  }
}

/* ---- Publishing and operating ---- */

static void a_token_publishes_beside_the_secret(void **state) {
  (void)state;
  static char news[HEADERS_MAX], all[HEADERS_MAX], old[HEADERS_MAX], older[HEADERS_MAX];
  char claims[128];
  char good[512];
  make_token(good, RS256, "{\"publish\":[\"news\"]}", rsa, NULL);
  put_bearer(news, FORM, good);
  make_token(good, RS256, "{\"publish\":[\"*\"]}", rsa, NULL);
  put_bearer(all, FORM, good);
  /* Clocks may differ by 30 seconds. */
  snprintf(claims, sizeof claims, "{\"publish\":[\"*\"],\"exp\":%lld}", (long long)time(NULL) - 1);
  make_token(good, RS256, claims, rsa, NULL);
  put_bearer(old, FORM, good);
  snprintf(claims, sizeof claims, "{\"publish\":[\"*\"],\"exp\":%lld}", (long long)time(NULL) - 31);
  make_token(good, RS256, claims, rsa, NULL);
  put_bearer(older, FORM, good);
  const struct {
    const char *name, *target, *headers, *body;
    int status;
    const char *want;
  } rows[] = {
      {"secret", "POST /publish", FORM, "channel=a&message=m&key=s3cret", 200, NULL},
      {"secret as Bearer", "POST /publish", FORM "Authorization: Bearer s3cret\r\n",
       "channel=a&message=m", 200, NULL},
      {"wrong secret", "POST /publish", FORM, "channel=a&message=m&key=s3cre", 401, "need a token"},
      {"nothing", "POST /publish", FORM, "channel=a&message=m", 401, "need a token"},
      {"nothing, and wrong", "POST /publish", FORM, "message=m", 401, "need a token"},
      {"token", "POST /publish", news, "channel=news&message=m", 200, NULL},
      {"token and wrong secret", "POST /publish", news, "channel=news&message=m&key=x", 200, NULL},
      {"token, other channel", "POST /publish", news, "channel=a&message=m", 403,
       "the claim publish of the token does not cover the channel a\n"},
      {"token, both channels", "POST /publish", news, "channel=news&channel=a&message=m", 403,
       "channel a\n"},
      {"token of another origin", "POST /publish", all, "channel=a&message=m", 200, NULL},
      {"just expired", "POST /publish", old, "channel=a&message=m", 200, NULL},
      {"expired", "POST /publish", older, "channel=a&message=m", 401, "expired"},
      {"disconnect", "POST /disconnect?tag=t", news, "", 403, "no claim publish that is enough"},
      {"disconnect by all", "POST /disconnect?tag=t", all, "", 200, NULL},
      {"disconnect by secret", "POST /disconnect?tag=t&key=s3cret", "", "", 200, NULL},
      {"disconnect by nobody", "POST /disconnect?tag=t", "", "", 401, "need a token"},
      {"presence by nobody", "GET /presence", "", "", 401, "need a token"},
      {"presence by all", "GET /presence", all, "", 200, NULL},
      {"the secret does not subscribe", "GET /poll?timeout=0&channel=a&key=s3cret", "", "", 401,
       "subscribing needs a token\n"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    judge(rows[i].name, request(&only_rsa, rows[i].target, rows[i].headers, rows[i].body),
          rows[i].status, rows[i].want);
  /* A page of another origin is refused, and that is no matter of the token. */
  stpcpy(stpcpy(news, all), "Origin: https://evil.example\r\n");
  assert_int_equal(request(&only_rsa, "POST /publish", news, "channel=a&message=m"), 403);
  assert_non_null(strstr(answer, "pages of this origin"));
}

/* Each line is published for itself. */
static void each_line_is_held_to_the_claim(void **state) {
  (void)state;
  char headers[HEADERS_MAX];
  put_bearer(headers, JSON, token_of(HS256, "{\"publish\":[\"news\"]}", BY_FIRST));
  assert_int_equal(request(&server, "POST /publish", headers,
                           "{\"channel\":\"news\",\"message\":\"1\"}\n"
                           "{\"channel\":[\"news\",\"other\"],\"message\":\"2\"}\n"),
                   207);
  assert_non_null(strstr(answer, "{\"status\":\"ok\",\"id\":"));
  assert_non_null(strstr(answer, "{\"status\":403,\"error\":\"the claim publish of the token does "
                                 "not cover the channel other\"}"));
}

/* ---- Streams ---- */

static void an_open_stream_is_changed_by_token(void **state) {
  (void)state;
  struct listener listener;
  char headers[HEADERS_MAX];
  put_bearer(headers, "", token_of(HS256, NEWS, BY_FIRST));
  stream_open(&listener, &server, "GET /?channel=news&session=abcdefgh", headers, "");
  await_clients(&server, "news", 1);
  const char *const change = "POST /subscribe?session=abcdefgh&channel=sport";
  judge("no token", request(&server, change, "", ""), 401, "subscribing needs a token\n");
  judge("the stream's token", request(&server, change, headers, ""), 403, "channel sport\n");
  judge("unsubscribe, no token",
        request(&server, "POST /unsubscribe?session=abcdefgh&channel=news", "", ""), 401, NULL);
  put_bearer(headers, "", token_of(HS256, "{\"subscribe\":[\"sport\"]}", BY_FIRST));
  judge("another token", request(&server, change, headers, ""), 200, NULL);
  await_clients(&server, "sport", 1);
  listener_close(&listener);
  await_clients(&server, "news", 0);
}

/* Gently: after whole blocks, and with a time to return. */
static void a_stream_ends_with_its_token(void **state) {
  (void)state;
  struct listener with_end, without;
  struct timespec now;
  static char headers[HEADERS_MAX], claims[128], text[65536];
  put_bearer(headers, "", token_of(HS256, NEWS, BY_FIRST));
  stream_open(&without, &server, "GET /?channel=news", headers, "");
  clock_gettime(CLOCK_REALTIME, &now);
  double expires = (double)now.tv_sec + (double)now.tv_nsec / 1e9 + 1.5;
  snprintf(claims, sizeof claims, "{\"exp\":%.3f,\"subscribe\":[\"news\"]}", expires);
  put_bearer(headers, "", token_of(HS256, claims, BY_FIRST));
  stream_open(&with_end, &server, "GET /?channel=news", headers, "");
  assert_true(hear_all(with_end.fd, text, sizeof text) > 0);
  assert_non_null(strstr(text, "HTTP/1.1 200 "));
  const char *first = strstr(text, "retry: ");
  assert_non_null(first);
  assert_non_null(strstr(first + 1, "retry: "));
  await_clients(&server, "news", 1);
  listener_close(&with_end);
  /* A poll does not wait beyond that time, either. */
  clock_gettime(CLOCK_REALTIME, &now);
  snprintf(claims, sizeof claims, "{\"exp\":%.3f,\"subscribe\":[\"news\"]}",
           (double)now.tv_sec + (double)now.tv_nsec / 1e9 + 1.5);
  put_bearer(headers, "", token_of(HS256, claims, BY_FIRST));
  assert_int_equal(request(&server, "GET /poll?channel=news&timeout=300", headers, ""), 200);
  listener_close(&without);
  await_clients(&server, "news", 0);
}

static void reload(const char *wanted) {
  char line[512];
  kill(server.pid, SIGHUP);
  do assert_true(read_line(server.out, line, sizeof line));
  while (!strstr(line, "reloaded"));
  assert_string_equal(line, wanted);
}

/* The last test: it changes the secrets. */
static void secrets_are_rotated(void **state) {
  (void)state;
  struct listener listener;
  char headers[HEADERS_MAX];
  put_bearer(headers, "", token_of(HS256, NEWS, BY_FIRST));
  stream_open(&listener, &server, "GET /?channel=news", headers, "");
  await_clients(&server, "news", 1);
  write_text(secret_file, SECOND "\n" THIRD "\n");
  judge("not yet", poll_with(&server, "news", token_of(HS256, NEWS, BY_THIRD)), 401, WRONG);
  reload("broadcast: secrets, origins and limits are reloaded\n");
  judge("removed", poll_with(&server, "news", token_of(HS256, NEWS, BY_FIRST)), 401, WRONG);
  judge("kept", poll_with(&server, "news", token_of(HS256, NEWS, BY_SECOND)), 200, NULL);
  judge("added", poll_with(&server, "news", token_of(HS256, NEWS, BY_THIRD)), 200, NULL);
  write_text(secret_file, "too short\n");
  reload("broadcast: nothing is reloaded\n");
  write_text(rsa_file, "no key\n");
  reload("broadcast: nothing is reloaded\n");
  judge("as before", poll_with(&server, "news", token_of(HS256, NEWS, BY_THIRD)), 200, NULL);
  judge("the key, too", poll_with(&server, "news", token_of(RS256, NEWS, BY_RSA)), 200, NULL);
  /* The open stream has not noticed. */
  put_bearer(headers, FORM, token_of(HS256, "{\"publish\":[\"news\"]}", BY_THIRD));
  assert_int_equal(request(&server, "POST /publish", headers, "channel=news&message=last"), 200);
  hear_data(&listener, "last");
  listener_close(&listener);
}

/* ---- Options ---- */

static void bad_keys_are_refused(void **state) {
  (void)state;
  char rsa_as_ec[80], private_file[80], where[96], missing[80];
  snprintf(rsa_as_ec, sizeof rsa_as_ec, "ES256:%s", rsa_file);
  snprintf(private_file, sizeof private_file, "%s/private", folder);
  snprintf(where, sizeof where, "RS256:%s", private_file);
  snprintf(missing, sizeof missing, "RS256:%s/nothing", folder);
  FILE *file = fopen(private_file, "w");
  assert_non_null(file);
  PEM_write_PrivateKey(file, rsa, NULL, NULL, 0, NULL, NULL);
  fclose(file);
  const struct {
    const char *args[3], *want;
  } rows[] = {
      {{"--jwt-key", rsa_file}, "a key is RS256:FILE or ES256:FILE"},
      {{"--jwt-key", "HS256:x"}, "a key is RS256:FILE or ES256:FILE"},
      {{"--jwt-key", "none:x"}, "a key is RS256:FILE or ES256:FILE"},
      {{"--jwt-key", "RS256:"}, "a key is RS256:FILE or ES256:FILE"},
      {{"--jwt-key", missing}, "the file cannot be read"},
      {{"--jwt-key", rsa_as_ec}, "the key is not of this algorithm"},
      {{"--jwt-key", where}, "no public key in PEM"},
      {{"--jwt-secret-file", "/nonexistent/file"}, "No such file"},
      {{"--jwt-secret-file", "/dev/null"}, "there is no secret in it"},
      {{"--jwt-cookie", "token"}, "it needs --jwt-key or --jwt-secret-file"},
      {{"--jwt-cookie", "a b"}, "a cookie's name is"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char text[1024];
    int status = child_outcome("broadcast", rows[i].args, text, sizeof text);
    if (status != 2 || !strstr(text, rows[i].want) || strchr(text, '\n') != text + strlen(text) - 1)
      fail_msg("%s %s: %d, %s", rows[i].args[0], rows[i].args[1], status, text);
  }
  static const struct {
    const char *line, *want;
  } secrets[] = {
      {"31 bytes are too few for HS256..", NULL},
      {"31 bytes are too few for HS256.", "a secret for HS256 has 32 bytes or more"},
      {"base64:AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr", "32 bytes or more"},
      {"base64:AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Y", "base64"},
      {"base64:AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ EstJQLr_T-1qS0gZH75aKtMN3Yj0", "base64"},
  };
  for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
    char text[1024];
    write_text(private_file, secrets[i].line);
    /* A good one is refused later, for the address. */
    int status = child_outcome(
        "broadcast",
        (const char *const[]){"--jwt-secret-file", private_file, "--listen", "256.0.0.1", NULL},
        text, sizeof text);
    assert_int_equal(status, secrets[i].want ? 2 : 1);
    if (secrets[i].want && !strstr(text, secrets[i].want)) fail_msg("%s", text);
    assert_null(strstr(text, secrets[i].line)); /* a secret is not in a log */
  }
  unlink(private_file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_token_is_judged),
      cmocka_unit_test(a_public_key_is_no_secret),
      cmocka_unit_test(tokens_of_others_are_read),
      cmocka_unit_test(a_huge_token_is_refused),
      cmocka_unit_test(prefixes_have_borders),
      cmocka_unit_test(all_channels_must_be_covered),
      cmocka_unit_test(a_token_has_three_places),
      cmocka_unit_test(a_token_publishes_beside_the_secret),
      cmocka_unit_test(each_line_is_held_to_the_claim),
      cmocka_unit_test(an_open_stream_is_changed_by_token),
      cmocka_unit_test(a_stream_ends_with_its_token),
      cmocka_unit_test(bad_keys_are_refused),
      cmocka_unit_test(secrets_are_rotated),
  };
  return cmocka_run_group_tests_name("broadcast, tokens", tests, start_servers, stop_servers);
}

#else

#include "client.h"

/* Without libjwt its options are refused. */
static void options_need_libjwt(void **state) {
  (void)state;
  static const char *const options[] = {"--jwt-key", "--jwt-secret-file", "--jwt-cookie"};
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    char text[1024];
    assert_int_equal(
        child_outcome("broadcast", (const char *const[]){options[i], "x", NULL}, text, sizeof text),
        2);
    assert_non_null(strstr(text, "this program was built without libjwt"));
  }
}

static void tokens_are_read(void **state) {
  (void)state;
  print_message("libjwt is missing; Debian has it in libjwt-dev: make deps-broadcast\n");
  skip();
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(options_need_libjwt),
                                     cmocka_unit_test(tokens_are_read)};
  return cmocka_run_group_tests_name("broadcast, tokens", tests, NULL, NULL);
}

#endif
