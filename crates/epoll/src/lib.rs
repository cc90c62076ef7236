//! proactor-epoll
