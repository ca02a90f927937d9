/* SPDX-License-Identifier: MIT */
/* fiber.h: threads of which one runs at a time, and which are switched by hand. */
#ifndef FIBER_H
#define FIBER_H

#define FIBERS_MAX 6
#define FIBER_MAIN FIBERS_MAX /* the thread that makes the others */

/*
 * Makes a fiber, or makes it anew, whatever it was doing. It runs its body again and again, from
 * the first switch to it on. Asserts success.
 */
void fiber_make(unsigned fiber, void (*body)(unsigned fiber));

/* Stops the fiber that runs, and goes on with another; returns when somebody switches back. */
void fiber_switch(unsigned from, unsigned to);

#endif
