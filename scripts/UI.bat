@echo off
call "%~dp0launch.bat" ui %*
exit /b %ERRORLEVEL%
